/*
 * Node-API glue. In: JavaScript values. Out: numbers that are results or -errno, promises,
 * callbacks. Converts and owns handles; all netlink work is in nl*.c. Nothing here throws for what
 * the kernel says, nor for wrong arguments (-EINVAL).
 *
 * Threads: each environment (main thread, worker) has its own instance and table, touched on its JS
 * thread only. A socket is shared with at most one exchange or one reader thread; its file
 * descriptors are closed after that thread was joined.
 */
#include "binding.h"

#include "nlsock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_GENERATION (INT_MAX >> SLOT_BITS)

/* ---- values ---- */

napi_value number(napi_env env, double value) {
    napi_value result = NULL;
    napi_create_double(env, value, &result);
    return result;
}

napi_value byte_array(napi_env env, const uint8_t *data, size_t len) {
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

struct instance *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *args) {
    void *data = NULL;
    napi_get_cb_info(env, info, &count, args, NULL, &data);
    return data;
}

bool get_int(napi_env env, napi_value value, int *out) {
    return napi_get_value_int32(env, value, out) == napi_ok;
}

/* ---- handles ---- */

struct sock *lookup(struct instance *instance, napi_env env, napi_value value) {
    int handle = -1;
    if (!get_int(env, value, &handle) || handle < 0) {
        return NULL;
    }
    struct sock *sock = instance->slots[handle & (SLOTS - 1)].sock;
    return sock != NULL && sock->handle == handle ? sock : NULL;
}

struct sock *sock_argument(napi_env env, napi_callback_info info, size_t count, napi_value *args) {
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

void wake_up(struct sock *sock) {
    uint64_t one = 1;
    if (write(sock->wake_fd, &one, sizeof(one)) < 0) {
        abort(); /* An eventfd far from full takes 1: our bug, and the thread would never end. */
    }
}

void destroy(struct sock *sock) {
    close(sock->fd);
    close(sock->wake_fd);
    free(sock);
}

/* Ends the reader, wakes the exchange; whoever finishes the exchange destroys the socket. */
static void close_sock(struct instance *instance, struct sock *sock) {
    instance->slots[sock->handle & (SLOTS - 1)].sock = NULL;
    atomic_store(&sock->closing, true);
    wake_up(sock);
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
        finish_exchange(instance->exchanges);
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
        {"sendUnixDatagram", js_send_unix_datagram},
        {"queuedBytes", js_queued_bytes},
        {"trimMemory", js_trim_memory},
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
