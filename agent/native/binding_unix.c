/*
 * sendUnixDatagram() and queuedBytes(): the arguments of JavaScript as ung_send() and fdq_queued()
 * want them. Out: a result or -errno.
 */
#include "binding.h"
#include "fdqueue.h"
#include "unixgram.h"

#include <errno.h>
#include <string.h>

/* Longer than any sockaddr_un takes, so that ung_send() is the one to say so. */
#define MAX_PATH_LEN 256

napi_value js_send_unix_datagram(napi_env env, napi_callback_info info) {
    napi_value args[2];
    arguments(env, info, 2, args);
    char path[MAX_PATH_LEN];
    size_t path_len = 0;
    bool is_array = false;
    void *bytes = NULL;
    size_t len = 0;
    napi_typedarray_type type;
    if (napi_get_value_string_utf8(env, args[0], path, sizeof(path), &path_len) != napi_ok ||
        napi_is_typedarray(env, args[1], &is_array) != napi_ok || !is_array ||
        napi_get_typedarray_info(env, args[1], &type, &len, &bytes, NULL, NULL) != napi_ok ||
        type != napi_uint8_array || memchr(path, '\0', path_len) != NULL) {
        return number(env, -EINVAL);
    }
    return number(env, ung_send(path, path_len, bytes, len));
}

napi_value js_queued_bytes(napi_env env, napi_callback_info info) {
    napi_value args[1];
    int fd;
    arguments(env, info, 1, args);
    if (!get_int(env, args[0], &fd)) {
        return number(env, -EINVAL);
    }
    return number(env, fdq_queued(fd));
}
