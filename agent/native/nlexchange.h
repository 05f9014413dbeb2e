/*
 * One question to the kernel and its whole answer. In: a datagram and how to know the answer is
 * complete. Out: the datagrams of the answer, each checked and padded to 4 bytes. Knows no Node and
 * no family's payload.
 */
#ifndef PICKET_NLEXCHANGE_H
#define PICKET_NLEXCHANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nlx_expect {
    /* Ends with the ack of `last_seq`; after any error or overrun, when nothing more is queued. */
    NLX_ACKS,
    /* Ends with NLMSG_DONE or NLMSG_ERROR for `last_seq`. */
    NLX_DUMP,
};

/* `bytes`, `fd`, `wake_fd` and `cancelled` are borrowed for the whole call. */
struct nlx_request {
    int fd;
    /* Readable once the exchange is to be given up; `cancelled` says the same without a system
     * call. */
    int wake_fd;
    const atomic_bool *cancelled;
    const uint8_t *bytes;
    size_t len;
    enum nlx_expect expect;
    uint32_t last_seq;
    int timeout_ms;
};

/* Growing bytes; whoever declared it frees `data`. */
struct nlx_bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
};

/*
 * Throws away what an earlier exchange left behind, sends, and receives until the answer is
 * complete. Blocks up to `timeout_ms` plus the time the kernel takes inside the send. `*out` holds
 * what came, also when an error is returned. 0 or -errno: ECANCELED, ETIMEDOUT, ENOBUFS answers
 * were lost, EBADMSG malformed answer, ENOMEM, and those of nls_send.
 */
int nlx_run(const struct nlx_request *request, struct nlx_bytes *out);

#endif
