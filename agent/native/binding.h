/*
 * What the parts of the addon share: the objects behind handles, and conversions. See binding.c for
 * who may touch what.
 */
#ifndef PICKET_BINDING_H
#define PICKET_BINDING_H

#include "nlexchange.h"
#include "nlreader.h"

#include <node_api.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOT_BITS 10
#define SLOTS (1 << SLOT_BITS)

struct exchange;
struct reader;

struct sock {
    int handle;
    int fd;
    /* eventfd, readable from close() on; never read. */
    int wake_fd;
    atomic_bool closing;
    bool exchanging;
    struct reader *reader;
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

/* A number, or NULL (undefined) when the environment is being torn down. */
napi_value number(napi_env env, double value);

/* A new Uint8Array with a copy of the bytes; NULL when memory or the environment is gone. */
napi_value byte_array(napi_env env, const uint8_t *data, size_t len);

/* False when the value is no number. */
bool get_int(napi_env env, napi_value value, int *out);

/* Fetches exactly `count` arguments (absent ones are undefined) and the instance. */
struct instance *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *args);

/* The open socket whose handle `value` is; NULL when there is none. */
struct sock *lookup(struct instance *instance, napi_env env, napi_value value);

/* As arguments(), and the open socket whose handle comes first; NULL when there is none. */
struct sock *sock_argument(napi_env env, napi_callback_info info, size_t count, napi_value *args);

/* Wakes whatever thread uses the socket, for good. */
void wake_up(struct sock *sock);

/* Closes the descriptors and frees; no thread uses the socket any more. */
void destroy(struct sock *sock);

/* binding_exchange.c */
napi_value js_exchange(napi_env env, napi_callback_info info);

/* Takes a finished exchange to its promise; callback of `instance.done`. */
void on_done(napi_env env, napi_value callback, void *context, void *data);

/* Joins the thread, frees the exchange, and the socket when it was closed meanwhile. */
void finish_exchange(struct exchange *exchange);

/* binding_reader.c */
napi_value js_start_reader(napi_env env, napi_callback_info info);

/* Joins the thread; nothing is called back afterwards. The socket must have been woken up. */
void stop_reader(struct reader *reader);

/* binding_memory.c */
napi_value js_trim_memory(napi_env env, napi_callback_info info);

/* binding_unix.c */
napi_value js_send_unix_datagram(napi_env env, napi_callback_info info);
napi_value js_queued_bytes(napi_env env, napi_callback_info info);

#endif
