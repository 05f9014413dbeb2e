/* See nlexchange.h. */
#include "nlexchange.h"

#include "nlmsg.h"
#include "nlsock.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP (64 * 1024)
/* An answer larger than this is no answer to any question we ask. */
#define MAX_ANSWER ((size_t)1 << 30)

/* What the answer so far says about more to come. */
struct progress {
    /* The last expected message came. */
    bool last;
    /* Something was refused or lost: what is queued is all there will be. */
    bool failed;
};

static int reserve(struct nlx_bytes *out, size_t more) {
    size_t need = out->len + more;
    if (need <= out->cap) {
        return 0;
    }
    if (need > MAX_ANSWER) {
        return -EFBIG;
    }
    size_t cap = out->cap == 0 ? FIRST_CAP : out->cap;
    while (cap < need) {
        cap *= 2;
    }
    uint8_t *data = realloc(out->data, cap);
    if (data == NULL) {
        return -ENOMEM;
    }
    out->data = data;
    out->cap = cap;
    return 0;
}

/* Appends the next datagram, unpadded. Returns its size or -errno as nls_recv. */
static ssize_t append_datagram(int fd, struct nlx_bytes *out) {
    ssize_t size = nls_peek(fd);
    if (size < 0) {
        return size;
    }
    int error = reserve(out, (size_t)size + NLMSG_ALIGNTO);
    if (error < 0) {
        return error;
    }
    ssize_t got = nls_recv(fd, out->data + out->len, out->cap - out->len);
    if (got > 0 && (size_t)got > out->cap - out->len) {
        /* The peeked one was not the kernel's and a larger one came after it. */
        return -ENOBUFS;
    }
    return got;
}

static int note(const struct nlx_request *request, const uint8_t *datagram, size_t len,
                struct progress *progress) {
    struct nlm_view message;
    size_t offset = 0;
    int more;
    while ((more = nlm_next(datagram, len, &offset, &message)) > 0) {
        bool last = message.seq == request->last_seq;
        if (message.type == NLMSG_DONE && request->expect == NLX_DUMP) {
            progress->last |= last;
        }
        if (message.type != NLMSG_ERROR) {
            continue;
        }
        int32_t code;
        if (nlm_error_code(&message, &code) < 0) {
            return -EBADMSG;
        }
        progress->last |= last;
        progress->failed |= code != 0 && request->expect == NLX_ACKS;
    }
    return more;
}

static void pad(struct nlx_bytes *out) {
    while (out->len % NLMSG_ALIGNTO != 0) {
        out->data[out->len++] = 0;
    }
}

static void drain(int fd) {
    uint8_t scrap[64];
    ssize_t got;
    do {
        got = nls_recv(fd, scrap, sizeof(scrap));
    } while (got >= 0 || got == -ENOBUFS);
}

static int time_left(int64_t deadline) {
    int64_t left = deadline - nls_now_ms();
    return left > 0 ? (int)left : 0;
}

static int wait_until(const struct nlx_request *request, short events, int64_t deadline) {
    int ready = nls_wait(request->fd, events, request->wake_fd, time_left(deadline));
    return ready == 0 ? -ETIMEDOUT : ready;
}

static int send_request(const struct nlx_request *request, int64_t deadline) {
    for (;;) {
        int error = nls_send(request->fd, request->bytes, request->len);
        if (error != -EAGAIN) {
            return error;
        }
        int ready = wait_until(request, POLLOUT, deadline);
        if (ready < 0) {
            return ready;
        }
    }
}

static int receive_answer(const struct nlx_request *request, int64_t deadline,
                          struct nlx_bytes *out) {
    struct progress progress = {false, false};
    int lost = 0;
    while (!atomic_load(request->cancelled)) {
        ssize_t got = append_datagram(request->fd, out);
        if (got == -ENOBUFS) {
            lost = -ENOBUFS;
            progress.failed |= request->expect == NLX_ACKS;
        } else if (got == -EAGAIN && progress.failed) {
            return lost;
        } else if (got == -EAGAIN) {
            int ready = wait_until(request, POLLIN, deadline);
            if (ready < 0) {
                return ready == -ETIMEDOUT && lost < 0 ? lost : ready;
            }
        } else if (got < 0) {
            return (int)got;
        } else {
            int error = note(request, out->data + out->len, (size_t)got, &progress);
            if (error < 0) {
                return error;
            }
            out->len += (size_t)got;
            pad(out);
            if (progress.last && !progress.failed) {
                return lost;
            }
            if (time_left(deadline) == 0) {
                return -ETIMEDOUT;
            }
        }
    }
    return -ECANCELED;
}

int nlx_run(const struct nlx_request *request, struct nlx_bytes *out) {
    int64_t deadline = nls_now_ms() + request->timeout_ms;
    if (atomic_load(request->cancelled)) {
        return -ECANCELED;
    }
    drain(request->fd);
    int error = send_request(request, deadline);
    return error < 0 ? error : receive_answer(request, deadline, out);
}
