/* Inner values of a module, handed out by name while it runs, so that they can be compared with a reference. */
#ifndef KN_MODELS_COMMON_TRACE_H
#define KN_MODELS_COMMON_TRACE_H

#include "tensor/tensor.h"

typedef struct kn_trace {
    void (*fn)(void *ud, const char *name, kn_tensor t); /* t lives until fn returns */
    void *ud;
} kn_trace;

/* Calls the hook; does nothing without one (t may be NULL) or for a null tensor. */
void kn_trace_tensor(const kn_trace *t, kn_tensor x, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static inline bool kn_trace_wanted(const kn_trace *t)
{
    return t && t->fn;
}

#endif
