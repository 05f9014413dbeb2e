/*
 * See nlreader.h.
 *
 *   kernel --recv--> scratch --push--> [chunk][chunk][chunk] --nlr_take--> JS thread
 *                                       at most MAX_QUEUED bytes: then the kernel keeps it
 */
#include "nlreader.h"

#include "nlmsg.h"
#include "nlsock.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_CAP ((size_t)256 * 1024)
/* The first chunk of an empty queue: most events come alone. */
#define SMALL_CHUNK_CAP ((size_t)16 * 1024)
#define MAX_QUEUED ((size_t)64 * 1024 * 1024)
#define FIRST_SCRATCH ((size_t)64 * 1024)
#define MAX_SCRATCH ((size_t)16 * 1024 * 1024)
/* While something waits to be taken: how soon the taker that rests is told again. */
#define REMIND_MS 2
/* Pause after an error recv(2) is not known to give, so that a broken socket costs no processor. */
#define ODD_ERROR_PAUSE_MS 50

struct chunk {
    struct chunk *next;
    uint8_t *data;
    size_t len;
    size_t cap;
};

struct nlr_reader {
    int fd;
    int wake_fd;
    uint32_t ignore_port;
    void (*notify)(void *context);
    void *context;
    pthread_t thread;
    /* Ends a storm that never lets the thread reach `wake_fd`. */
    atomic_bool stopping;
    /* Only the thread's own. */
    uint8_t *scratch;
    size_t scratch_cap;
    /* Everything below under the lock. */
    pthread_mutex_t lock;
    struct chunk *head;
    struct chunk *tail;
    size_t queued;
    uint32_t lost;
    bool notified;
};

static void count_lost(struct nlr_reader *reader) {
    pthread_mutex_lock(&reader->lock);
    reader->lost += reader->lost < UINT32_MAX;
    pthread_mutex_unlock(&reader->lock);
}

/* A chunk with `need` bytes free at the end of the queue, or NULL when the queue or the memory is
 * full. Under the lock. */
static struct chunk *room_for(struct nlr_reader *reader, size_t need) {
    struct chunk *tail = reader->tail;
    if (tail != NULL && tail->cap - tail->len >= need) {
        return tail;
    }
    size_t usual = tail == NULL ? SMALL_CHUNK_CAP : CHUNK_CAP;
    size_t cap = need > usual ? need : usual;
    if (reader->queued + cap > MAX_QUEUED) {
        return NULL;
    }
    struct chunk *fresh = calloc(1, sizeof(*fresh));
    uint8_t *data = malloc(cap);
    if (fresh == NULL || data == NULL) {
        free(fresh);
        free(data);
        return NULL;
    }
    fresh->data = data;
    fresh->cap = cap;
    *(tail == NULL ? &reader->head : &tail->next) = fresh;
    reader->tail = fresh;
    reader->queued += cap;
    return fresh;
}

static void push(struct nlr_reader *reader, size_t len) {
    size_t padded = (len + NLMSG_ALIGNTO - 1) & ~(size_t)(NLMSG_ALIGNTO - 1);
    pthread_mutex_lock(&reader->lock);
    struct chunk *chunk = room_for(reader, padded);
    if (chunk == NULL) {
        reader->lost += reader->lost < UINT32_MAX;
    } else {
        memcpy(chunk->data + chunk->len, reader->scratch, len);
        memset(chunk->data + chunk->len + len, 0, padded - len);
        chunk->len += padded;
    }
    pthread_mutex_unlock(&reader->lock);
}

static void grow_scratch(struct nlr_reader *reader, size_t need) {
    size_t cap = reader->scratch_cap;
    while (cap < need && cap < MAX_SCRATCH) {
        cap *= 2;
    }
    uint8_t *scratch = realloc(reader->scratch, cap);
    if (scratch != NULL) {
        reader->scratch = scratch;
        reader->scratch_cap = cap;
    }
}

static void keep(struct nlr_reader *reader, size_t len) {
    struct nlm_view first;
    size_t offset = 0;
    if (len > reader->scratch_cap) {
        grow_scratch(reader, len);
        count_lost(reader);
        return;
    }
    if (nlm_check(reader->scratch, len) < 0) {
        count_lost(reader);
        return;
    }
    nlm_next(reader->scratch, len, &offset, &first);
    if (reader->ignore_port == 0 || first.pid != reader->ignore_port) {
        push(reader, len);
    }
}

static void tell(struct nlr_reader *reader, size_t at_least) {
    pthread_mutex_lock(&reader->lock);
    bool due = !reader->notified && (reader->head != NULL || reader->lost > 0) &&
               (reader->queued >= at_least || reader->lost > 0);
    reader->notified |= due;
    pthread_mutex_unlock(&reader->lock);
    if (due) {
        reader->notify(reader->context);
    }
}

static int wait_ms(struct nlr_reader *reader) {
    pthread_mutex_lock(&reader->lock);
    bool has_backlog = reader->head != NULL;
    pthread_mutex_unlock(&reader->lock);
    return has_backlog ? REMIND_MS : -1;
}

static bool is_full(struct nlr_reader *reader) {
    pthread_mutex_lock(&reader->lock);
    bool full = reader->queued + CHUNK_CAP > MAX_QUEUED;
    pthread_mutex_unlock(&reader->lock);
    return full;
}

static void *run(void *data) {
    struct nlr_reader *reader = data;
    int ready = 1;
    while (ready >= 0 && !atomic_load(&reader->stopping)) {
        if (is_full(reader)) {
            /* The socket's own buffer holds as much again before anything is lost. */
            tell(reader, 0);
            ready = nls_wait(reader->wake_fd, POLLIN, reader->wake_fd, REMIND_MS);
            continue;
        }
        ssize_t got = nls_recv(reader->fd, reader->scratch, reader->scratch_cap);
        if (got >= 0) {
            keep(reader, (size_t)got);
            /* In a storm that never pauses: wake the taker at every full chunk. */
            tell(reader, 2 * CHUNK_CAP);
        } else if (got == -EAGAIN) {
            tell(reader, 0);
            ready = nls_wait(reader->fd, POLLIN, reader->wake_fd, wait_ms(reader));
        } else {
            count_lost(reader);
            tell(reader, 0);
            ready = got == -ENOBUFS
                        ? 1
                        : nls_wait(reader->wake_fd, POLLIN, reader->wake_fd, ODD_ERROR_PAUSE_MS);
        }
    }
    return NULL;
}

int nlr_start(int fd, int wake_fd, uint32_t ignore_port, void (*notify)(void *context),
              void *context, struct nlr_reader **out) {
    struct nlr_reader *reader = calloc(1, sizeof(*reader));
    uint8_t *scratch = malloc(FIRST_SCRATCH);
    if (reader == NULL || scratch == NULL) {
        free(reader);
        free(scratch);
        return -ENOMEM;
    }
    reader->fd = fd;
    reader->wake_fd = wake_fd;
    reader->ignore_port = ignore_port;
    reader->notify = notify;
    reader->context = context;
    reader->scratch = scratch;
    reader->scratch_cap = FIRST_SCRATCH;
    pthread_mutex_init(&reader->lock, NULL);
    int error = nls_thread(&reader->thread, run, reader);
    if (error < 0) {
        nlr_free(reader);
        return error;
    }
    *out = reader;
    return 0;
}

int nlr_take(struct nlr_reader *reader, struct nlr_batch *out) {
    pthread_mutex_lock(&reader->lock);
    struct chunk *chunk = reader->head;
    int found = chunk != NULL || reader->lost > 0;
    *out = (struct nlr_batch){.lost = reader->lost};
    reader->lost = 0;
    reader->notified = found;
    if (chunk != NULL) {
        reader->head = chunk->next;
        reader->tail = reader->head == NULL ? NULL : reader->tail;
        reader->queued -= chunk->cap;
        out->data = chunk->data;
        out->len = chunk->len;
    }
    pthread_mutex_unlock(&reader->lock);
    free(chunk);
    return found;
}

void nlr_rest(struct nlr_reader *reader) {
    pthread_mutex_lock(&reader->lock);
    reader->notified = false;
    pthread_mutex_unlock(&reader->lock);
}

void nlr_stop(struct nlr_reader *reader) {
    atomic_store(&reader->stopping, true);
    pthread_join(reader->thread, NULL);
}

void nlr_free(struct nlr_reader *reader) {
    while (reader->head != NULL) {
        struct chunk *chunk = reader->head;
        reader->head = chunk->next;
        free(chunk->data);
        free(chunk);
    }
    pthread_mutex_destroy(&reader->lock);
    free(reader->scratch);
    free(reader);
}
