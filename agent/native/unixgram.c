/* See unixgram.h. */
#define _GNU_SOURCE
#include "unixgram.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

/* Fills `address`; its length or -errno. */
static int to_address(const char *path, size_t path_len, struct sockaddr_un *address) {
    if (path_len == 0 || (path[0] != '/' && path[0] != '@')) {
        return -EINVAL;
    }
    /* A file's name ends with NUL, an abstract one starts with it: unix(7). */
    size_t needed = path[0] == '/' ? path_len + 1 : path_len;
    if (needed > sizeof(address->sun_path)) {
        return -ENAMETOOLONG;
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, path_len);
    if (path[0] == '@') {
        address->sun_path[0] = '\0';
    }
    return (int)(offsetof(struct sockaddr_un, sun_path) + needed);
}

int ung_send(const char *path, size_t path_len, const void *bytes, size_t len) {
    struct sockaddr_un address;
    int address_len = to_address(path, path_len, &address);
    if (address_len < 0) {
        return address_len;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    ssize_t sent;
    do {
        sent = sendto(fd, bytes, len, MSG_NOSIGNAL, (const struct sockaddr *)&address,
                      (socklen_t)address_len);
    } while (sent < 0 && errno == EINTR);
    int result = sent < 0 ? -errno : 0;
    close(fd);
    return result;
}
