/* See nlmsg.h. Fields are copied out, so the bytes need no alignment. */
#include "nlmsg.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

int nlm_next(const uint8_t *bytes, size_t len, size_t *offset, struct nlm_view *out) {
    if (*offset >= len) {
        return 0;
    }
    size_t left = len - *offset;
    struct nlmsghdr header;
    if (left < sizeof(header)) {
        return -EBADMSG;
    }
    memcpy(&header, bytes + *offset, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > left) {
        return -EBADMSG;
    }
    out->at = bytes + *offset;
    out->len = header.nlmsg_len;
    out->type = header.nlmsg_type;
    out->flags = header.nlmsg_flags;
    out->seq = header.nlmsg_seq;
    out->pid = header.nlmsg_pid;
    size_t step = ((size_t)header.nlmsg_len + NLMSG_ALIGNTO - 1) & ~(size_t)(NLMSG_ALIGNTO - 1);
    *offset += step < left ? step : left;
    return 1;
}

int nlm_error_code(const struct nlm_view *message, int32_t *code) {
    if (message->len < sizeof(struct nlmsghdr) + sizeof(*code)) {
        return -EBADMSG;
    }
    memcpy(code, message->at + sizeof(struct nlmsghdr), sizeof(*code));
    return 0;
}

int nlm_check(const uint8_t *bytes, size_t len) {
    struct nlm_view message;
    size_t offset = 0;
    int more = len == 0 ? -EBADMSG : 1;
    while (more > 0) {
        more = nlm_next(bytes, len, &offset, &message);
    }
    return more;
}
