/*
 * exchange(): a thread per exchange, whose end resolves a promise. In: a request. Out: {errno,
 * bytes}. A thread of our own and none of libuv's pool: a long commit blocks no file system call,
 * and an environment that ends can end it at once.
 */
#include "binding.h"

#include "nlsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

void finish_exchange(struct exchange *exchange) {
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

void on_done(napi_env env, napi_value callback, void *context, void *data) {
    struct instance *instance = context;
    struct exchange *exchange = data;
    (void)callback;
    if (env == NULL) {
        return; /* Torn down: clean_up() has finished this exchange. */
    }
    resolve(env, exchange->deferred, exchange->result, &exchange->answer);
    finish_exchange(exchange);
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

napi_value js_exchange(napi_env env, napi_callback_info info) {
    napi_value args[5];
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
