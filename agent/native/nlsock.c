/* See nlsock.h. */
#define _GNU_SOURCE
#include "nlsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Room for the kernel's own frames and a sanitizer's; the code here needs a few KiB. */
#define STACK_BYTES (512 * 1024)

struct open_request {
    int protocol;
    const char *netns_path;
    int result;
};

static int plain_socket(int protocol) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    return fd < 0 ? -errno : fd;
}

/* setns(2) moves one thread; this one ends right after, so nothing has to be moved back. */
static void *open_in_netns(void *data) {
    struct open_request *request = data;
    /* O_NONBLOCK: a path that turns out to be a FIFO must not hang. */
    int netns = open(request->netns_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (netns < 0) {
        request->result = -errno;
        return NULL;
    }
    request->result = setns(netns, CLONE_NEWNET) < 0 ? -errno : plain_socket(request->protocol);
    close(netns);
    return NULL;
}

static int socket_in(int protocol, const char *netns_path) {
    if (netns_path[0] == '\0') {
        return plain_socket(protocol);
    }
    struct open_request request = {protocol, netns_path, -EIO};
    pthread_t thread;
    int error = nls_thread(&thread, open_in_netns, &request);
    if (error < 0) {
        return error;
    }
    pthread_join(thread, NULL);
    return request.result;
}

static int set_buffer(int fd, int forced, int plain, int bytes) {
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) == 0) {
        return 0;
    }
    return setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes)) < 0 ? -errno : 0;
}

static int set_up(int fd, int sndbuf_bytes, int rcvbuf_bytes) {
    int on = 1;
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
        return -errno;
    }
    int error = sndbuf_bytes > 0 ? set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, sndbuf_bytes) : 0;
    if (error == 0 && rcvbuf_bytes > 0) {
        error = set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, rcvbuf_bytes);
    }
    return error;
}

int nls_open(int protocol, const char *netns_path, int sndbuf_bytes, int rcvbuf_bytes) {
    int fd = socket_in(protocol, netns_path);
    if (fd < 0) {
        return fd;
    }
    int error = set_up(fd, sndbuf_bytes, rcvbuf_bytes);
    if (error < 0) {
        close(fd);
        return error;
    }
    return fd;
}

int nls_port_id(int fd, uint32_t *port) {
    struct sockaddr_nl self = {0};
    socklen_t size = sizeof(self);
    if (getsockname(fd, (struct sockaddr *)&self, &size) < 0) {
        return -errno;
    }
    *port = self.nl_pid;
    return 0;
}

int nls_sndbuf(int fd) {
    int bytes = 0;
    socklen_t size = sizeof(bytes);
    return getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size) < 0 ? -errno : bytes;
}

int nls_set_sndbuf(int fd, int bytes) {
    int error = set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bytes);
    return error < 0 ? error : nls_sndbuf(fd);
}

int nls_join(int fd, uint32_t group) {
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
        return -errno;
    }
    return 0;
}

int nls_send(int fd, const void *bytes, size_t len) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = len};
    struct msghdr message = {
        .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, 0);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

ssize_t nls_recv(int fd, void *bytes, size_t cap) {
    for (;;) {
        struct sockaddr_nl from = {0};
        socklen_t size = sizeof(from);
        ssize_t got = recvfrom(fd, bytes, cap, MSG_TRUNC, (struct sockaddr *)&from, &size);
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got >= 0 && from.nl_pid == 0) {
            return got;
        }
    }
}

ssize_t nls_peek(int fd) {
    ssize_t size;
    do {
        size = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
    } while (size < 0 && errno == EINTR);
    return size < 0 ? -errno : size;
}

int nls_wait(int fd, short events, int wake_fd, int timeout_ms) {
    struct pollfd on[2] = {{.fd = fd, .events = events}, {.fd = wake_fd, .events = POLLIN}};
    int ready = poll(on, 2, timeout_ms);
    if (ready < 0) {
        return errno == EINTR ? 1 : -errno;
    }
    return on[1].revents != 0 ? -ECANCELED : ready > 0;
}

int64_t nls_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int nls_thread(pthread_t *thread, void *(*run)(void *), void *data) {
    pthread_attr_t small;
    sigset_t all;
    sigset_t before;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, &small, run, data);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&small);
    return -error;
}
