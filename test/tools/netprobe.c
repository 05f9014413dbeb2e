/*
 * netprobe: puts crafted packets on wires and says what arrived, driven by lines on stdin. No
 * policy knowledge, no packet parsing: bytes in, bytes out. Single-threaded, pinned to one CPU so
 * that the kernel handles packets in the order sent.
 *
 * Commands (ports are small numbers chosen by the caller, frames are lower-case hex):
 * - `wire PORT NETNS IFNAME`: AF_PACKET on an interface: sends and reports whole Ethernet frames
 * - `local PORT NETNS FAMILY PROTO`: raw IP socket (family 4 or 6): reports what local delivery let
 *   through; IPv4 with header
 * - `origin PORT NETNS FAMILY`: raw IP socket with own header: sends IP packets as the namespace
 *   itself
 * - `sentinel NETNS IFNAME IFNAME`: the two ends of one veth pair, for `sync`
 * - `forget NETNS`: empties the namespace's connection table
 * - `send PORT HEX`
 * - `sync TOKEN`: answers once everything sent before has been handled by the kernel and reported
 *
 * Answers: `ok`, `recv PORT HEX`, `synced TOKEN`, `error TEXT`. Commands but `send` and `sync`
 * answer `ok` or `error`; `send` answers only with `error`. Ends at end of input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_PORTS = 1024,
    MAX_FRAME = 65536,
    /* A forwarded packet passes the CPU's receive queue twice, a sentinel once per round. */
    SYNC_ROUNDS = 3,
    SYNC_TIMEOUT_MS = 60000,
    /* linux/ipv6.h, which does not mix with netinet/in.h. */
    PROBE_IPV6_HDRINCL = 36,
};

enum port_kind { PORT_UNUSED, PORT_WIRE, PORT_LOCAL, PORT_ORIGIN };

struct port {
    enum port_kind kind;
    int fd;
    int family;
};

static struct port ports[MAX_PORTS];
static int epoll_fd;
static int sentinel_out = -1;
static int sentinel_in = -1;
static unsigned char frame[MAX_FRAME];
static char hex_line[2 * MAX_FRAME + 1];

static void answer_error(const char *what, int error) {
    printf("error %s: %s\n", what, strerror(error));
}

/* Enters the namespace at `path`; returns a descriptor of the one left, or -errno. */
static int enter_netns(const char *path) {
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return -errno;
    int target = open(path, O_RDONLY | O_CLOEXEC);
    if (target < 0 || setns(target, CLONE_NEWNET) < 0) {
        int error = errno;
        if (target >= 0)
            close(target);
        close(home);
        return -error;
    }
    close(target);
    return home;
}

/* Goes back to `home` and closes it. Staying in the wrong namespace would falsify every later
 * answer. */
static void leave_netns(int home) {
    if (setns(home, CLONE_NEWNET) < 0) {
        perror("netprobe: setns back");
        exit(1);
    }
    close(home);
}

/* A socket made inside the namespace at `path`, or -errno. */
static int socket_in(const char *path, int domain, int type, int protocol) {
    int home = enter_netns(path);
    if (home < 0)
        return home;
    int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    int error = errno;
    leave_netns(home);
    return fd < 0 ? -error : fd;
}

/* AF_PACKET on one interface, without the frames that leave by it. Returns a descriptor or -errno.
 */
static int open_wire(const char *path, const char *ifname) {
    /* Protocol 0 receives nothing until bind names the interface: no frames of other interfaces
     * slip in. */
    int fd = socket_in(path, AF_PACKET, SOCK_RAW, 0);
    if (fd < 0)
        return fd;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", ifname);
    int size = 8 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    int one = 1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    /* Past the queue: the kernel opens it a moment after the link is up, and until then drops. */
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0 ||
        ioctl(fd, SIOCGIFINDEX, &request) < 0)
        goto fail;
    address.sll_ifindex = request.ifr_ifindex;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        goto fail;
    return fd;
fail:;
    int error = errno;
    close(fd);
    return -error;
}

static bool watch(int port, enum port_kind kind, int family, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (unsigned)port};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return false;
    if (ports[port].kind != PORT_UNUSED)
        close(ports[port].fd);
    ports[port] = (struct port){.kind = kind, .fd = fd, .family = family};
    return true;
}

static void report(int port, size_t len) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        hex_line[2 * i] = digits[frame[i] >> 4];
        hex_line[2 * i + 1] = digits[frame[i] & 15];
    }
    hex_line[2 * len] = 0;
    printf("recv %d %s\n", port, hex_line);
}

/* Reports everything that waits on any port, without blocking. */
static void drain(void) {
    struct epoll_event events[64];
    int count;
    while ((count = epoll_wait(epoll_fd, events, 64, 0)) > 0) {
        for (int i = 0; i < count; i++) {
            int port = (int)events[i].data.u32;
            ssize_t len;
            while ((len = recv(ports[port].fd, frame, sizeof frame, 0)) >= 0)
                report(port, (size_t)len);
            if (errno != EAGAIN && errno != EINTR)
                answer_error("recv", errno);
        }
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into `frame`; the length, or -1 for anything but whole lower-case bytes. */
static ssize_t decode_hex(const char *text) {
    size_t len = 0;
    for (; text[0] != 0; text += 2) {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0 || len == sizeof frame)
            return -1;
        frame[len++] = (unsigned char)(high << 4 | low);
    }
    return (ssize_t)len;
}

static ssize_t send_ip(const struct port *port, size_t len) {
    if (port->family == 4) {
        struct sockaddr_in to = {.sin_family = AF_INET};
        memcpy(&to.sin_addr, frame + 16, 4);
        return sendto(port->fd, frame, len, 0, (struct sockaddr *)&to, sizeof to);
    }
    struct sockaddr_in6 to = {.sin6_family = AF_INET6};
    memcpy(&to.sin6_addr, frame + 24, 16);
    return sendto(port->fd, frame, len, 0, (struct sockaddr *)&to, sizeof to);
}

static void do_send(int port, const char *hex) {
    ssize_t len = decode_hex(hex);
    ssize_t sent = -1;
    errno = EINVAL;
    if (len >= (ports[port].family == 4 ? 20 : 40) && ports[port].kind == PORT_ORIGIN)
        sent = send_ip(&ports[port], (size_t)len);
    else if (len >= 14 && ports[port].kind == PORT_WIRE)
        sent = send(ports[port].fd, frame, (size_t)len, 0);
    /* A raw IP socket says EPERM when the output hook drops the packet: that is an observation, not
     * a fault. */
    if (sent < 0 && !(ports[port].kind == PORT_ORIGIN && errno == EPERM))
        answer_error("send", errno);
    drain();
}

/* One sentinel frame through the CPU's receive queue; false when it got lost. */
static bool sentinel_round(void) {
    unsigned char probe[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
    unsigned char got[128];
    if (send(sentinel_out, probe, sizeof probe, 0) < 0)
        return false;
    for (;;) {
        struct pollfd waiting = {.fd = sentinel_in, .events = POLLIN};
        if (poll(&waiting, 1, SYNC_TIMEOUT_MS) <= 0)
            return false;
        ssize_t len = recv(sentinel_in, got, sizeof got, 0);
        if (len >= 14 && got[12] == 0x88 && got[13] == 0xb5)
            return true;
    }
}

static void do_sync(const char *token) {
    for (int round = 0; round < SYNC_ROUNDS; round++) {
        if (!sentinel_round()) {
            answer_error("sync", ETIMEDOUT);
            return;
        }
    }
    drain();
    printf("synced %s\n", token);
}

static int do_wire(int port, const char *path, const char *ifname) {
    int fd = open_wire(path, ifname);
    if (fd < 0)
        return fd;
    return watch(port, PORT_WIRE, 0, fd) ? 0 : -errno;
}

static int do_local(int port, const char *path, int family, int protocol) {
    int fd = socket_in(path, family == 4 ? AF_INET : AF_INET6, SOCK_RAW, protocol);
    if (fd < 0)
        return fd;
    return watch(port, PORT_LOCAL, family, fd) ? 0 : -errno;
}

static int do_origin(int port, const char *path, int family) {
    int fd = socket_in(path, family == 4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW);
    if (fd < 0)
        return fd;
    int one = 1;
    int level = family == 4 ? IPPROTO_IP : IPPROTO_IPV6;
    int option = family == 4 ? IP_HDRINCL : PROBE_IPV6_HDRINCL;
    if (setsockopt(fd, level, option, &one, sizeof one) < 0)
        return -errno;
    return watch(port, PORT_ORIGIN, family, fd) ? 0 : -errno;
}

/* Deletes every connection of the namespace: one ctnetlink message, acknowledged. Returns 0 or
 * -errno. */
static int do_forget(const char *path) {
    int fd = socket_in(path, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
    if (fd < 0)
        return fd;
    struct {
        struct nlmsghdr header;
        struct nfgenmsg family;
    } request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
                            .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
                 .family = {.nfgen_family = AF_UNSPEC}};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr status;
        unsigned char rest[256];
    } reply;
    int result = 0;
    if (send(fd, &request, request.header.nlmsg_len, 0) < 0)
        result = -errno;
    else if (recv(fd, &reply, sizeof reply, 0) < (ssize_t)NLMSG_LENGTH(sizeof reply.status))
        result = -EIO;
    else
        result = reply.status.error;
    close(fd);
    return result;
}

static int do_sentinel(const char *path, const char *out, const char *in) {
    sentinel_out = open_wire(path, out);
    if (sentinel_out < 0)
        return sentinel_out;
    sentinel_in = open_wire(path, in);
    return sentinel_in < 0 ? sentinel_in : 0;
}

static int setup(char **words, int count) {
    int port = count > 1 ? atoi(words[1]) : -1;
    if (strcmp(words[0], "sentinel") == 0 && count == 4)
        return do_sentinel(words[1], words[2], words[3]);
    if (strcmp(words[0], "forget") == 0 && count == 2)
        return do_forget(words[1]);
    if (port < 0 || port >= MAX_PORTS)
        return -EINVAL;
    if (strcmp(words[0], "wire") == 0 && count == 4)
        return do_wire(port, words[2], words[3]);
    if (strcmp(words[0], "local") == 0 && count == 5)
        return do_local(port, words[2], atoi(words[3]), atoi(words[4]));
    if (strcmp(words[0], "origin") == 0 && count == 4)
        return do_origin(port, words[2], atoi(words[3]));
    return -EINVAL;
}

static void execute(char *line) {
    char *words[8];
    int count = 0;
    for (char *word = strtok(line, " "); word != NULL && count < 8; word = strtok(NULL, " "))
        words[count++] = word;
    if (count == 0)
        return;
    if (strcmp(words[0], "send") == 0 && count == 3 && atoi(words[1]) >= 0 &&
        atoi(words[1]) < MAX_PORTS) {
        do_send(atoi(words[1]), words[2]);
        return;
    }
    if (strcmp(words[0], "sync") == 0 && count == 2) {
        do_sync(words[1]);
        return;
    }
    int result = setup(words, count);
    if (result < 0)
        answer_error(words[0], -result);
    else
        printf("ok\n");
}

static void pin_to_one_cpu(void) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            return;
        }
    }
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    pin_to_one_cpu();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) {
        perror("netprobe: epoll_create1");
        return 1;
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    while ((len = getline(&line, &size, stdin)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = 0;
        bool is_send = strncmp(line, "send ", 5) == 0;
        execute(line);
        /* Answers to `send` may wait in the buffer: a batch ends with `sync`. */
        if (!is_send)
            fflush(stdout);
    }
    free(line);
    return 0;
}
