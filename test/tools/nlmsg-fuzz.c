/*
 * Throws random datagrams at the walker of agent/native/nlmsg.c. Each lies in memory of exactly its
 * size, so that a sanitizer sees every byte read outside. Checks what the walker promises; prints
 * how much it did. Same bytes each run.
 */
#include "nlmsg.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 300000
#define MAX_LEN 200

static uint64_t state = 0x9e3779b97f4a7c15;

/* xorshift64 (Marsaglia, 2003). */
static uint32_t any(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static void require(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", what);
        exit(1);
    }
}

/* Random bytes, with headers whose lengths are about right sown into them. */
static void fill(uint8_t *bytes, size_t len) {
    for (size_t at = 0; at < len; at++) {
        bytes[at] = (uint8_t)any(256);
    }
    size_t at = 0;
    while (at + sizeof(struct nlmsghdr) <= len) {
        struct nlmsghdr header = {.nlmsg_len = 16 + any(40), .nlmsg_type = (uint16_t)any(4)};
        uint32_t lie = any(40);
        header.nlmsg_len = lie == 0   ? any(16)
                           : lie == 1 ? UINT32_MAX - any(8)
                           : lie == 2 ? (uint32_t)(len - at) + any(2)
                                      : header.nlmsg_len;
        memcpy(bytes + at, &header, sizeof(header));
        size_t step = NLMSG_ALIGN((size_t)header.nlmsg_len);
        at += step < sizeof(header) ? sizeof(header) : step;
    }
}

static int walk(const uint8_t *bytes, size_t len, unsigned long *walked) {
    struct nlm_view message;
    size_t offset = 0;
    size_t before = 0;
    int more;
    while ((more = nlm_next(bytes, len, &offset, &message)) > 0) {
        int32_t code;
        require(message.at == bytes + before, "messages follow each other");
        require(message.len >= sizeof(struct nlmsghdr), "a message has a header");
        require(message.len <= len - before, "a message ends inside");
        require(offset > before && offset <= len, "the offset moves on and stays inside");
        nlm_error_code(&message, &code);
        before = offset;
        ++*walked;
    }
    require(more < 0 || offset == len, "the end is the end");
    return more;
}

int main(void) {
    unsigned long walked = 0;
    unsigned long refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        size_t len = any(MAX_LEN);
        uint8_t *bytes = malloc(len);
        if (bytes == NULL && len > 0) {
            return 1;
        }
        fill(bytes, len);
        int end = walk(bytes, len, &walked);
        require(end == 0 || end == -EBADMSG, "the end has one of two codes");
        require(nlm_check(bytes, len) == (len == 0 ? -EBADMSG : end), "check agrees with walk");
        refused += end < 0;
        free(bytes);
    }
    printf("walked %lu messages, refused %lu datagrams\n", walked, refused);
    return 0;
}
