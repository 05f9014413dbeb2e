/*
 * Node-API glue. In: JavaScript values. Out: numbers that are results or -errno, promises,
 * callbacks. Converts and owns handles; all netlink work is in nl*.c. Nothing here throws for what
 * the kernel says, nor for wrong arguments (-EINVAL).
 *
 * Threads: each environment (main thread, worker) has its own instance and table, touched on its JS
 * thread only. A socket is shared with at most one exchange or one reader thread; its file
 * descriptors are closed after that thread was joined.
 */
#include "nlexchange.h"
#include "nlreader.h"
#include "nlsock.h"

#include <errno.h>
#include <limits.h>
#include <node_api.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLOT_BITS 10
#define SLOTS (1 << SLOT_BITS)
#define MAX_GENERATION (INT_MAX >> SLOT_BITS)
#define MAX_ARGS 5
/* Batches handed over in one turn of the event loop. */
#define BATCHES_A_TURN 4

struct sock {
    int handle;
    int fd;
    /* eventfd, readable from close() on; never read. */
    int wake_fd;
    atomic_bool closing;
    bool exchanging;
    struct reader *reader;
};

/* Owned by the tsfn `events`, whose finalizer frees it; `core` ends with the socket. */
struct reader {
    napi_env env;
    struct sock *sock;
    struct nlr_reader *core;
    napi_threadsafe_function events;
};

struct exchange {
    struct exchange *next;
    struct instance *owner;
    struct sock *sock;
    pthread_t thread;
    napi_deferred deferred;
    struct nlx_request request;
    struct nlx_bytes answer;
    int result;
    uint8_t sent[];
};

struct slot {
    int generation;
    struct sock *sock;
};

struct instance {
    napi_env env;
    /* Carries a finished `struct exchange` to the JS thread; keeps the loop alive while one is
     * under way. */
    napi_threadsafe_function done;
    struct exchange *exchanges;
    struct slot slots[SLOTS];
};

/* ---- values ---- */

static napi_value number(napi_env env, double value) {
    napi_value result = NULL;
    napi_create_double(env, value, &result);
    return result;
}

/* A new Uint8Array with a copy of the bytes; NULL when memory or the environment is gone. */
static napi_value byte_array(napi_env env, const uint8_t *data, size_t len) {
    napi_value buffer = NULL;
    napi_value array = NULL;
    void *to = NULL;
    if (napi_create_arraybuffer(env, len, &to, &buffer) != napi_ok) {
        return NULL;
    }
    if (len > 0) {
        memcpy(to, data, len);
    }
    return napi_create_typedarray(env, napi_uint8_array, len, buffer, 0, &array) == napi_ok ? array
                                                                                            : NULL;
}

/* Fetches exactly `count` arguments (absent ones are undefined) and the instance. */
static struct instance *arguments(napi_env env, napi_callback_info info, size_t count,
                                  napi_value *args) {
    void *data = NULL;
    napi_get_cb_info(env, info, &count, args, NULL, &data);
    return data;
}

static bool get_int(napi_env env, napi_value value, int *out) {
    return napi_get_value_int32(env, value, out) == napi_ok;
}

/* ---- handles ---- */

static struct sock *lookup(struct instance *instance, napi_env env, napi_value value) {
    int handle = -1;
    if (!get_int(env, value, &handle) || handle < 0) {
        return NULL;
    }
    struct sock *sock = instance->slots[handle & (SLOTS - 1)].sock;
    return sock != NULL && sock->handle == handle ? sock : NULL;
}

/* As arguments(), and the open socket whose handle comes first; NULL when there is none. */
static struct sock *sock_argument(napi_env env, napi_callback_info info, size_t count,
                                  napi_value *args) {
    struct instance *instance = arguments(env, info, count, args);
    return lookup(instance, env, args[0]);
}

/* Gives the socket a number no earlier socket of the last two million in this slot had. -EMFILE
 * when the table is full. */
static int enter(struct instance *instance, struct sock *sock) {
    for (int at = 0; at < SLOTS; at++) {
        struct slot *slot = &instance->slots[at];
        if (slot->sock == NULL) {
            slot->generation = slot->generation % MAX_GENERATION + 1;
            slot->sock = sock;
            sock->handle = (slot->generation - 1) << SLOT_BITS | at;
            return sock->handle;
        }
    }
    return -EMFILE;
}

static void destroy(struct sock *sock) {
    close(sock->fd);
    close(sock->wake_fd);
    free(sock);
}

static void stop_reader(struct reader *reader);

/* Ends the reader, wakes the exchange; whoever finishes the exchange destroys the socket. */
static void close_sock(struct instance *instance, struct sock *sock) {
    uint64_t one = 1;
    instance->slots[sock->handle & (SLOTS - 1)].sock = NULL;
    atomic_store(&sock->closing, true);
    if (write(sock->wake_fd, &one, sizeof(one)) < 0) {
        abort(); /* An eventfd at 0 takes 1: anything else is our bug, and the thread below would
                    never end. */
    }
    if (sock->reader != NULL) {
        stop_reader(sock->reader);
    }
    if (!sock->exchanging) {
        destroy(sock);
    }
}

static int open_sock(struct instance *instance, int protocol, const char *path, int sndbuf,
                     int rcvbuf) {
    int fd = nls_open(protocol, path, sndbuf, rcvbuf);
    if (fd < 0) {
        return fd;
    }
    struct sock *sock = calloc(1, sizeof(*sock));
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = sock == NULL ? -ENOMEM : wake_fd < 0 ? -errno : 0;
    if (result == 0) {
        sock->fd = fd;
        sock->wake_fd = wake_fd;
        result = enter(instance, sock);
    }
    if (result < 0) {
        close(fd);
        if (wake_fd >= 0) {
            close(wake_fd);
        }
        free(sock);
    }
    return result;
}

static napi_value js_open(napi_env env, napi_callback_info info) {
    napi_value args[4];
    struct instance *instance = arguments(env, info, 4, args);
    int protocol;
    int sndbuf;
    int rcvbuf;
    char path[PATH_MAX];
    size_t length = 0;
    if (!get_int(env, args[0], &protocol) || !get_int(env, args[2], &sndbuf) ||
        !get_int(env, args[3], &rcvbuf) ||
        napi_get_value_string_utf8(env, args[1], NULL, 0, &length) != napi_ok) {
        return number(env, -EINVAL);
    }
    if (length >= sizeof(path)) {
        return number(env, -ENAMETOOLONG);
    }
    napi_get_value_string_utf8(env, args[1], path, sizeof(path), &length);
    if (strlen(path) != length) {
        return number(env, -EINVAL);
    }
    return number(env, open_sock(instance, protocol, path, sndbuf, rcvbuf));
}

static napi_value js_port_id(napi_env env, napi_callback_info info) {
    napi_value args[1];
    struct sock *sock = sock_argument(env, info, 1, args);
    uint32_t port = 0;
    int error = sock == NULL ? -EBADF : nls_port_id(sock->fd, &port);
    return number(env, error < 0 ? error : (double)port);
}

static napi_value js_sndbuf_bytes(napi_env env, napi_callback_info info) {
    napi_value args[1];
    struct sock *sock = sock_argument(env, info, 1, args);
    return number(env, sock == NULL ? -EBADF : nls_sndbuf(sock->fd));
}

static napi_value js_set_sndbuf(napi_env env, napi_callback_info info) {
    napi_value args[2];
    struct sock *sock = sock_argument(env, info, 2, args);
    int bytes;
    if (sock == NULL) {
        return number(env, -EBADF);
    }
    return number(env, get_int(env, args[1], &bytes) ? nls_set_sndbuf(sock->fd, bytes) : -EINVAL);
}

static napi_value js_join(napi_env env, napi_callback_info info) {
    napi_value args[2];
    struct sock *sock = sock_argument(env, info, 2, args);
    uint32_t group;
    if (sock == NULL) {
        return number(env, -EBADF);
    }
    bool valid = napi_get_value_uint32(env, args[1], &group) == napi_ok;
    return number(env, valid ? nls_join(sock->fd, group) : -EINVAL);
}

static napi_value js_close(napi_env env, napi_callback_info info) {
    napi_value args[1];
    struct instance *instance = arguments(env, info, 1, args);
    struct sock *sock = lookup(instance, env, args[0]);
    if (sock != NULL) {
        close_sock(instance, sock);
    }
    return NULL;
}

/* ---- exchange ---- */

static void *run_exchange(void *data) {
    struct exchange *exchange = data;
    exchange->result = nlx_run(&exchange->request, &exchange->answer);
    napi_call_threadsafe_function(exchange->owner->done, exchange, napi_tsfn_nonblocking);
    return NULL;
}

static void resolve(napi_env env, napi_deferred deferred, int result, const struct nlx_bytes *got) {
    napi_value object = NULL;
    napi_value bytes = byte_array(env, got->data, got->len);
    if (bytes == NULL) {
        bytes = byte_array(env, NULL, 0);
        result = -ENOMEM;
    }
    /* Each call fails quietly once the environment is being torn down: then nobody waits. */
    napi_create_object(env, &object);
    napi_set_named_property(env, object, "errno", number(env, -result));
    napi_set_named_property(env, object, "bytes", bytes);
    napi_resolve_deferred(env, deferred, object);
}

/* Joins the thread, frees the exchange, and the socket when it was closed meanwhile. */
static void finish(struct exchange *exchange) {
    struct instance *instance = exchange->owner;
    struct exchange **link = &instance->exchanges;
    pthread_join(exchange->thread, NULL);
    while (*link != exchange) {
        link = &(*link)->next;
    }
    *link = exchange->next;
    exchange->sock->exchanging = false;
    if (atomic_load(&exchange->sock->closing)) {
        destroy(exchange->sock);
    }
    free(exchange->answer.data);
    free(exchange);
}

static void on_done(napi_env env, napi_value callback, void *context, void *data) {
    struct instance *instance = context;
    struct exchange *exchange = data;
    (void)callback;
    if (env == NULL) {
        return; /* Torn down: clean_up() has finished this exchange. */
    }
    resolve(env, exchange->deferred, exchange->result, &exchange->answer);
    finish(exchange);
    if (instance->exchanges == NULL) {
        napi_unref_threadsafe_function(env, instance->done);
    }
}

static int start_exchange(struct instance *instance, struct sock *sock,
                          const struct nlx_request *request, napi_deferred deferred) {
    struct exchange *exchange = malloc(sizeof(*exchange) + request->len);
    if (exchange == NULL) {
        return -ENOMEM;
    }
    *exchange = (struct exchange){
        .owner = instance, .sock = sock, .deferred = deferred, .request = *request};
    memcpy(exchange->sent, request->bytes, request->len);
    exchange->request.bytes = exchange->sent;
    exchange->request.fd = sock->fd;
    exchange->request.wake_fd = sock->wake_fd;
    exchange->request.cancelled = &sock->closing;
    /* Ref before the thread runs: on_done may come at once, though on this very thread, later. */
    napi_ref_threadsafe_function(instance->env, instance->done);
    int error = nls_thread(&exchange->thread, run_exchange, exchange);
    if (error < 0) {
        if (instance->exchanges == NULL) {
            napi_unref_threadsafe_function(instance->env, instance->done);
        }
        free(exchange);
        return error;
    }
    exchange->next = instance->exchanges;
    instance->exchanges = exchange;
    sock->exchanging = true;
    return 0;
}

static bool get_expect(napi_env env, napi_value value, enum nlx_expect *out) {
    char name[8] = "";
    size_t length;
    napi_get_value_string_utf8(env, value, name, sizeof(name), &length);
    *out = strcmp(name, "dump") == 0 ? NLX_DUMP : NLX_ACKS;
    return *out == NLX_DUMP || strcmp(name, "acks") == 0;
}

/* The request as far as JavaScript says it; `bytes` still point into the caller's array. */
static bool get_request(napi_env env, const napi_value *args, struct nlx_request *request) {
    napi_typedarray_type type;
    void *data = NULL;
    if (napi_get_typedarray_info(env, args[1], &type, &request->len, &data, NULL, NULL) !=
        napi_ok) {
        return false;
    }
    request->bytes = data;
    return type == napi_uint8_array && request->len > 0 && data != NULL &&
           get_expect(env, args[2], &request->expect) &&
           napi_get_value_uint32(env, args[3], &request->last_seq) == napi_ok &&
           get_int(env, args[4], &request->timeout_ms) && request->timeout_ms >= 0;
}

static napi_value js_exchange(napi_env env, napi_callback_info info) {
    napi_value args[MAX_ARGS];
    napi_value promise = NULL;
    napi_deferred deferred;
    struct instance *instance = arguments(env, info, 5, args);
    struct sock *sock = lookup(instance, env, args[0]);
    struct nlx_request request = {0};
    int error = 0;
    if (napi_create_promise(env, &deferred, &promise) != napi_ok) {
        return NULL;
    }
    if (sock == NULL) {
        error = -EBADF;
    } else if (!get_request(env, args, &request)) {
        error = -EINVAL;
    } else if (sock->exchanging || sock->reader != NULL) {
        error = -EBUSY;
    } else {
        error = start_exchange(instance, sock, &request, deferred);
    }
    if (error < 0) {
        resolve(env, deferred, error, &(struct nlx_bytes){0});
    }
    return promise;
}

/* ---- reader ---- */

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
    if (reader->core != NULL) {
        napi_call_threadsafe_function(reader->events, NULL, napi_tsfn_nonblocking);
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
    uint64_t one = 1;
    if (write(reader->sock->wake_fd, &one, sizeof(one)) < 0) {
        abort();
    }
    stop_reader(reader);
}

/* `wake_fd` is readable by now. The struct itself lives until `events` is finalized. */
static void stop_reader(struct reader *reader) {
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

static napi_value js_start_reader(napi_env env, napi_callback_info info) {
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

/* ---- module ---- */

/* Environment cleanup: no thread of this instance runs afterwards. Readers have been stopped by
 * their own hooks. */
static void clean_up(void *data) {
    struct instance *instance = data;
    for (int at = 0; at < SLOTS; at++) {
        if (instance->slots[at].sock != NULL) {
            close_sock(instance, instance->slots[at].sock);
        }
    }
    while (instance->exchanges != NULL) {
        finish(instance->exchanges);
    }
    napi_release_threadsafe_function(instance->done, napi_tsfn_abort);
}

static void free_instance(napi_env env, void *data, void *hint) {
    (void)env;
    (void)hint;
    free(data);
}

static bool set_up_instance(napi_env env, struct instance *instance) {
    napi_value name = NULL;
    napi_create_string_utf8(env, "picket.netlinkExchange", NAPI_AUTO_LENGTH, &name);
    return napi_set_instance_data(env, instance, free_instance, NULL) == napi_ok &&
           napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, instance,
                                           on_done, &instance->done) == napi_ok &&
           napi_unref_threadsafe_function(env, instance->done) == napi_ok &&
           napi_add_env_cleanup_hook(env, clean_up, instance) == napi_ok;
}

NAPI_MODULE_INIT() {
    static const struct {
        const char *name;
        napi_callback call;
    } methods[] = {
        {"open", js_open},
        {"portId", js_port_id},
        {"sndbufBytes", js_sndbuf_bytes},
        {"setSndbuf", js_set_sndbuf},
        {"join", js_join},
        {"exchange", js_exchange},
        {"startReader", js_start_reader},
        {"close", js_close},
    };
    struct instance *instance = calloc(1, sizeof(*instance));
    if (instance == NULL || !set_up_instance(env, instance)) {
        napi_throw_error(env, "ENOMEM", "picket.node: no memory for the addon");
        return NULL;
    }
    instance->env = env;
    for (size_t at = 0; at < sizeof(methods) / sizeof(methods[0]); at++) {
        napi_value function = NULL;
        napi_create_function(env, methods[at].name, NAPI_AUTO_LENGTH, methods[at].call, instance,
                             &function);
        napi_set_named_property(env, exports, methods[at].name, function);
    }
    return exports;
}
