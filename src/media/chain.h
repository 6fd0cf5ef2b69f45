/* The chain: encoders are tried one after the other until one works, and what happened is kept. */
#ifndef KN_MEDIA_CHAIN_H
#define KN_MEDIA_CHAIN_H

#include "media/encoder.h"
#include "media/sink.h"

typedef struct kn_attempts {
    kn_sink_attempt items[KN_SINK_ATTEMPTS];
    int n;
} kn_attempts;

/* reason "": it works. */
void kn_attempts_add(kn_attempts *a, const char *name, const char *reason);
/* "libx264: not found; libopenh264: not found" of the attempts from `first` on that failed; those of hardware only if
 * there are no others. */
void kn_attempts_reasons(const kn_attempts *a, int first, char *buf, size_t size);

/* Whether a software encoder failed. */
bool kn_attempts_software_failed(const kn_attempts *a);

/* Opens the first encoder of the container that works, or opts->encoder, which must. KN_EUNSUPPORTED: none;
 * KN_EINVAL: opts->encoder is not one for this container. */
int kn_chain_open(kn_container container, const kn_sink_opts *opts, const kn_encoder_opts *eo,
                  kn_attempts *tried, kn_encoder *ret, kn_err *err);
/* Whether opts->encoder, if there is one, belongs to the container. */
int kn_chain_check_name(kn_container container, const char *encoder, kn_err *err);

/* Why the encoder must not be opened, or NULL. */
const char *kn_fault_reason(const kn_sink_opts *opts, const char *encoder);
/* The frame at which it is to fail; 0: none. */
int64_t kn_fault_frame(const kn_sink_opts *opts, const char *encoder);
/* What a fault looks like; KN_EDEVICE. */
int kn_fault_fail(const char *encoder, int64_t frame, kn_err *err);

#endif
