/*
 * A thread that empties an event socket into a bounded queue, so that a burst survives a busy event
 * loop. In: a socket that has joined its groups. Out: whole datagrams, and how often some were
 * lost. Knows no Node and no payload.
 */
#ifndef PICKET_NLREADER_H
#define PICKET_NLREADER_H

#include <stddef.h>
#include <stdint.h>

struct nlr_reader;

/* One hand-over: datagrams in order, each padded to 4 bytes; at most 256 KiB unless one datagram is
 * larger. */
struct nlr_batch {
    uint8_t *data;
    size_t len;
    uint32_t lost;
};

/*
 * Starts the thread. `fd` and `wake_fd` are borrowed until nlr_stop. Datagrams whose first message
 * has the port id `ignore_port` are dropped (0 = none). `notify(context)` is called from the thread
 * when something is there to take and it has not been called since the last nlr_take that found
 * nothing. Returns 0 with `*out` set (free with nlr_free) or -errno.
 */
int nlr_start(int fd, int wake_fd, uint32_t ignore_port, void (*notify)(void *context),
              void *context, struct nlr_reader **out);

/*
 * Takes the oldest batch. Returns 1 with `*out` set (the caller frees `data`, which is NULL when
 * only losses are told), or 0 when there is nothing: then the next datagram notifies. Never blocks
 * for long.
 */
int nlr_take(struct nlr_reader *reader, struct nlr_batch *out);

/* The taker does something else for a moment: `notify` is called again, soon, if there is something
 * left to take. */
void nlr_rest(struct nlr_reader *reader);

/* Ends and joins the thread; `wake_fd` must be readable by now. Afterwards `notify` is not called
 * again. */
void nlr_stop(struct nlr_reader *reader);

/* Frees a stopped reader and what nobody took. */
void nlr_free(struct nlr_reader *reader);

#endif
