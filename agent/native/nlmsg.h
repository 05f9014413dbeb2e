/*
 * Walks the messages of one netlink datagram. In: bytes nobody has checked. Out: one header at a
 * time, whose length lies inside the datagram. Knows no socket and no meaning of a payload.
 */
#ifndef PICKET_NLMSG_H
#define PICKET_NLMSG_H

#include <stddef.h>
#include <stdint.h>

/* One message; `at` points into the datagram (borrowed), `len` counts its header and is not padded.
 */
struct nlm_view {
    const uint8_t *at;
    uint32_t len;
    uint16_t type;
    uint16_t flags;
    uint32_t seq;
    uint32_t pid;
};

/*
 * Reads the message at `*offset` and moves `*offset` behind it and its padding, at most to `len`.
 * Returns 1 with `*out` set, 0 at the end, -EBADMSG when a header is cut or lies about its length.
 */
int nlm_next(const uint8_t *bytes, size_t len, size_t *offset, struct nlm_view *out);

/*
 * Reads the code of an NLMSG_ERROR into `*code` (0 = ack, else negative errno).
 * Returns 0, or -EBADMSG when the message is too short to have one.
 */
int nlm_error_code(const struct nlm_view *message, int32_t *code);

/* 0 when the whole datagram is well formed and not empty, else -EBADMSG. */
int nlm_check(const uint8_t *bytes, size_t len);

#endif
