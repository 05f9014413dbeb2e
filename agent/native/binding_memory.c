/*
 * trimMemory(): gives the pages of freed memory back to the system. A list of thousands of objects
 * leaves them behind everywhere in the heap, and the C library by itself only gives back those at
 * its end.
 */
#include "binding.h"

#include <errno.h>
#include <malloc.h>

napi_value js_trim_memory(napi_env env, napi_callback_info info) {
    arguments(env, info, 0, NULL);
#ifdef __GLIBC__
    return number(env, malloc_trim(0));
#else
    return number(env, -ENOSYS);
#endif
}
