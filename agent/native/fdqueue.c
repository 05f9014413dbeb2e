/* See fdqueue.h. */
#define _DEFAULT_SOURCE
#include "fdqueue.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

int fdq_queued(int fd) {
    struct stat kind;
    int queued = 0;
    if (fstat(fd, &kind) < 0) {
        return -errno;
    }
    if (!S_ISFIFO(kind.st_mode) && !S_ISSOCK(kind.st_mode)) {
        return 0;
    }
    /* FIONREAD counts for the pipe as a whole, on either end; SIOCOUTQ what was sent and not read.
     */
    unsigned long request = S_ISFIFO(kind.st_mode) ? FIONREAD : SIOCOUTQ;
    if (ioctl(fd, request, &queued) < 0) {
        return -errno;
    }
    return queued;
}
