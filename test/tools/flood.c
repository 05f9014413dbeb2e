/*
 * Sends many UDP packets quickly out of one interface of the caller's network namespace, for
 * figures.
 *
 *   flood IFNAME DST_MAC SADDR SOURCES SPORT SPORTS DADDR DPORT OTHER_DPORT RATE COUNT
 *
 * Packet i has source address SADDR + i mod SOURCES and source port SPORT + i mod SPORTS; every
 * second one goes to OTHER_DPORT unless that is 0. RATE in packets a second; 0 = as fast as the
 * kernel takes them, which does all of its forwarding on our time. With a RATE of at most 1000
 * prints a line `INDEX NANOSECONDS` for each packet, since the epoch, read right before it is sent.
 * At the end: `sent COUNT NANOSECONDS`, the time that it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_BYTES = 60,
    IP_BYTES = FRAME_BYTES - ETH_HLEN,
    BATCH = 64,
    SLOW_RATE = 1000,
    /* Of the pacing: short against what anybody's buffers hold. */
    NAP_NS = 200000,
};

struct plan {
    struct ether_addr to;
    uint32_t saddr;
    uint32_t sources;
    uint32_t sport;
    uint32_t sports;
    uint32_t daddr;
    uint16_t dports[2];
    uint64_t rate;
    uint64_t count;
};

static unsigned char frames[BATCH][FRAME_BYTES];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void put16(unsigned char *at, uint32_t value) {
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

static void put32(unsigned char *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static uint32_t ip_checksum(const unsigned char *header) {
    uint32_t sum = 0;
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)header[i] << 8 | header[i + 1];
    sum = (sum >> 16) + (sum & 0xffff);
    return ~(sum + (sum >> 16)) & 0xffff;
}

/* IPv4, UDP without a checksum, zeros. */
static void fill(unsigned char *frame, const struct plan *plan, uint64_t index) {
    unsigned char *ip = frame + ETH_HLEN;
    memset(frame, 0, FRAME_BYTES);
    memcpy(frame, &plan->to, sizeof plan->to);
    memcpy(frame + 6, "\x02\0\0\0\0\x01", 6);
    put16(frame + 12, ETH_P_IP);
    ip[0] = 0x45;
    put16(ip + 2, IP_BYTES);
    ip[8] = 64;
    ip[9] = 17;
    put32(ip + 12, plan->saddr + (uint32_t)(index % plan->sources));
    put32(ip + 16, plan->daddr);
    put16(ip + 10, ip_checksum(ip));
    put16(ip + 20, plan->sport + (uint32_t)(index % plan->sports));
    put16(ip + 22, plan->dports[plan->dports[1] == 0 ? 0 : index & 1]);
    put16(ip + 24, IP_BYTES - 20);
}

/* Packets past the queue: what a queue would drop, nobody would count. */
static int open_interface(const char *ifname) {
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    int one = 1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_ifindex = (int)if_nametoindex(ifname)};
    if (fd < 0 || address.sll_ifindex == 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror(ifname);
        exit(1);
    }
    return fd;
}

static void send_all(int fd, unsigned count) {
    for (unsigned done = 0; done < count;) {
        int sent = sendmmsg(fd, messages + done, count - done, 0);
        if (sent > 0)
            done += (unsigned)sent;
        else if (errno != EINTR && errno != ENOBUFS && errno != EAGAIN) {
            perror("sendmmsg");
            exit(1);
        }
    }
}

/* How many of the rest are due by now. */
static uint64_t due_now(const struct plan *plan, uint64_t sent, uint64_t start_ns) {
    if (plan->rate == 0)
        return plan->count - sent;
    uint64_t elapsed_ns = now_ns(CLOCK_MONOTONIC) - start_ns;
    uint64_t due = (uint64_t)((double)elapsed_ns * (double)plan->rate / 1e9) + 1;
    due = due > plan->count ? plan->count : due;
    return due > sent ? due - sent : 0;
}

static void flood(int fd, const struct plan *plan) {
    uint64_t start_ns = now_ns(CLOCK_MONOTONIC);
    for (uint64_t sent = 0; sent < plan->count;) {
        uint64_t due = due_now(plan, sent, start_ns);
        unsigned batch = due > BATCH ? BATCH : (unsigned)due;
        if (batch == 0) {
            struct timespec nap = {.tv_nsec = NAP_NS};
            nanosleep(&nap, NULL);
            continue;
        }
        for (unsigned i = 0; i < batch; i++)
            fill(frames[i], plan, sent + i);
        if (plan->rate > 0 && plan->rate <= SLOW_RATE) {
            for (unsigned i = 0; i < batch; i++)
                printf("%ju %ju\n", (uintmax_t)(sent + i), (uintmax_t)now_ns(CLOCK_REALTIME));
            fflush(stdout);
        }
        send_all(fd, batch);
        sent += batch;
    }
    printf("sent %ju %ju\n", (uintmax_t)plan->count,
           (uintmax_t)(now_ns(CLOCK_MONOTONIC) - start_ns));
}

static uint32_t address_of(const char *text) {
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1) {
        fprintf(stderr, "flood: not an IPv4 address: %s\n", text);
        exit(2);
    }
    return ntohl(address.s_addr);
}

static uint32_t positive(const char *text) {
    unsigned long value = strtoul(text, NULL, 10);
    return value == 0 ? 1 : (uint32_t)value;
}

int main(int argc, char **argv) {
    struct plan plan;
    if (argc != 12 || ether_aton_r(argv[2], &plan.to) == NULL) {
        fprintf(stderr, "usage: flood IFNAME DST_MAC SADDR SOURCES SPORT SPORTS DADDR DPORT "
                        "OTHER_DPORT RATE COUNT\n");
        return 2;
    }
    plan.saddr = address_of(argv[3]);
    plan.sources = positive(argv[4]);
    plan.sport = positive(argv[5]);
    plan.sports = positive(argv[6]);
    plan.daddr = address_of(argv[7]);
    plan.dports[0] = (uint16_t)strtoul(argv[8], NULL, 10);
    plan.dports[1] = (uint16_t)strtoul(argv[9], NULL, 10);
    plan.rate = strtoull(argv[10], NULL, 10);
    plan.count = strtoull(argv[11], NULL, 10);
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){.iov_base = frames[i], .iov_len = FRAME_BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    flood(open_interface(argv[1]), &plan);
    return 0;
}
