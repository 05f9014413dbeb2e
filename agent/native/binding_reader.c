/*
 * startReader(): hands the batches of a reader thread to a JavaScript callback. In: wake-ups from
 * the thread. Out: callback(bytes, lost), a few batches a turn of the event loop. Does not keep the
 * event loop alive.
 */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>

/* Batches handed over in one turn of the event loop. */
#define BATCHES_A_TURN 4

/* Owned by the tsfn `events`, whose finalizer frees it; `core` ends with the socket. */
struct reader {
    napi_env env;
    struct sock *sock;
    struct nlr_reader *core;
    napi_threadsafe_function events;
};

static void on_datagrams(void *context) {
    struct reader *reader = context;
    napi_call_threadsafe_function(reader->events, NULL, napi_tsfn_nonblocking);
}

/* Calls back with one batch. A callback that throws is a bug: it ends as an uncaught exception. */
static void hand_over(napi_env env, napi_value callback, const struct nlr_batch *batch) {
    napi_value undefined = NULL;
    napi_value error = NULL;
    uint32_t lost = batch->lost;
    napi_value bytes = byte_array(env, batch->data, batch->len);
    if (bytes == NULL) {
        bytes = byte_array(env, NULL, 0);
        lost++;
    }
    napi_value args[2] = {bytes, number(env, lost)};
    if (bytes == NULL || napi_get_undefined(env, &undefined) != napi_ok) {
        return;
    }
    napi_status status = napi_call_function(env, undefined, callback, 2, args, NULL);
    if (status == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok) {
        napi_fatal_exception(env, error);
    }
}

static void on_events(napi_env env, napi_value callback, void *context, void *data) {
    struct reader *reader = context;
    (void)data;
    if (env == NULL) {
        return;
    }
    for (int turn = 0; turn < BATCHES_A_TURN; turn++) {
        struct nlr_batch batch;
        /* The callback may have closed the socket. */
        if (reader->core == NULL || !nlr_take(reader->core, &batch)) {
            return;
        }
        hand_over(env, callback, &batch);
        free(batch.data);
    }
    /* Not by calling `events` from here: Node would come back at once, up to a thousand times,
     * before it looks at anything else (ThreadSafeFunction::Dispatch in src/node_api.cc, v24). */
    if (reader->core != NULL) {
        nlr_rest(reader->core);
    }
}

static void free_reader(napi_env env, void *data, void *hint) {
    (void)env;
    (void)hint;
    free(data);
}

/* Environment cleanup: runs before Node tears `events` down, for it was registered after it. */
static void reader_clean_up(void *data) {
    struct reader *reader = data;
    wake_up(reader->sock);
    stop_reader(reader);
}

/* The struct itself lives until `events` is finalized. */
void stop_reader(struct reader *reader) {
    napi_remove_env_cleanup_hook(reader->env, reader_clean_up, reader);
    nlr_stop(reader->core);
    nlr_free(reader->core);
    reader->core = NULL;
    reader->sock->reader = NULL;
    napi_release_threadsafe_function(reader->events, napi_tsfn_abort);
}

static int start_reader(napi_env env, struct sock *sock, uint32_t ignore_port,
                        napi_value callback) {
    napi_value name = NULL;
    struct reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return -ENOMEM;
    }
    *reader = (struct reader){.env = env, .sock = sock};
    napi_create_string_utf8(env, "picket.netlinkReader", NAPI_AUTO_LENGTH, &name);
    if (napi_create_threadsafe_function(env, callback, NULL, name, 0, 1, reader, free_reader,
                                        reader, on_events, &reader->events) != napi_ok) {
        free(reader);
        return -EINVAL;
    }
    napi_unref_threadsafe_function(env, reader->events);
    int error =
        nlr_start(sock->fd, sock->wake_fd, ignore_port, on_datagrams, reader, &reader->core);
    if (error < 0) {
        napi_release_threadsafe_function(reader->events, napi_tsfn_abort);
        return error;
    }
    napi_add_env_cleanup_hook(env, reader_clean_up, reader);
    sock->reader = reader;
    return 0;
}

napi_value js_start_reader(napi_env env, napi_callback_info info) {
    napi_value args[3];
    struct sock *sock = sock_argument(env, info, 3, args);
    uint32_t ignore_port;
    napi_valuetype type = napi_undefined;
    if (sock == NULL) {
        return number(env, -EBADF);
    }
    napi_typeof(env, args[2], &type);
    if (napi_get_value_uint32(env, args[1], &ignore_port) != napi_ok || type != napi_function) {
        return number(env, -EINVAL);
    }
    if (sock->exchanging || sock->reader != NULL) {
        return number(env, -EBUSY);
    }
    return number(env, start_reader(env, sock, ignore_port, args[2]));
}
