#include "media/av.h"
#include "media/chain.h"

#include <stdio.h>
#include <string.h>

static const char NOT_ALLOWED[] = "software encoders are switched off (allow_software_video_fallback)";

void kn_attempts_add(kn_attempts *a, const char *name, const char *reason)
{
    if (a->n == KN_SINK_ATTEMPTS)
        return;
    kn_sink_attempt *t = &a->items[a->n++];
    snprintf(t->name, sizeof t->name, "%.30s", name);
    snprintf(t->reason, sizeof t->reason, "%.150s", reason);
    t->ok = !*reason;
}

static bool says_something(const kn_sink_attempt *t)
{
    return !t->ok && strcmp(t->reason, NOT_ALLOWED) != 0;
}

static bool is_hardware(const kn_sink_attempt *t)
{
    const kn_codec *c = kn_codec_find(t->name);
    return c && c->is_hardware;
}

bool kn_attempts_software_failed(const kn_attempts *a)
{
    for (int i = 0; i < a->n; i++)
        if (says_something(&a->items[i]) && !is_hardware(&a->items[i]))
            return true;
    return false;
}

void kn_attempts_reasons(const kn_attempts *a, int first, char *buf, size_t size)
{
    size_t used = 0;
    bool software = kn_attempts_software_failed(a);
    buf[0] = '\0';
    for (int i = first; i < a->n && used < size; i++) {
        const kn_sink_attempt *t = &a->items[i];
        if (!says_something(t) || (software && is_hardware(t)))
            continue;
        int n = snprintf(buf + used, size - used, "%s%s: %s", used ? "; " : "", t->name, t->reason);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* ---- faults ---- */

const char *kn_fault_reason(const kn_sink_opts *opts, const char *encoder)
{
    for (int i = 0; i < opts->n_faults; i++)
        if (!opts->faults[i].frame && strcmp(opts->faults[i].encoder, encoder) == 0)
            return opts->faults[i].reason ? opts->faults[i].reason : "switched off";
    return NULL;
}

int64_t kn_fault_frame(const kn_sink_opts *opts, const char *encoder)
{
    for (int i = 0; i < opts->n_faults; i++)
        if (opts->faults[i].frame && strcmp(opts->faults[i].encoder, encoder) == 0)
            return opts->faults[i].frame;
    return 0;
}

int kn_fault_fail(const char *encoder, int64_t frame, kn_err *err)
{
    return kn_fail(err, KN_EDEVICE, "the encoder %s failed at frame %lld: a fault that was asked for",
                   encoder, (long long)frame);
}

/* ---- the chain ---- */

static void list_names(kn_container container, char *buf, size_t size)
{
    size_t used = 0;
    const kn_codec *c;
    buf[0] = '\0';
    for (int i = 0; (c = kn_codec_at(i)) && used < size; i++) {
        if (!(c->containers & container))
            continue;
        int n = snprintf(buf + used, size - used, "%s%s", used ? ", " : "", c->name);
        used += n > 0 ? (size_t)n : 0;
    }
}

int kn_chain_check_name(kn_container container, const char *encoder, kn_err *err)
{
    const kn_codec *c = encoder ? kn_codec_find(encoder) : NULL;
    char names[256];
    if (!encoder || (c && c->containers & container))
        return 0;
    list_names(container, names, sizeof names);
    return kn_fail(err, KN_EINVAL, "%s %s; for %s one of %s was expected",
                   c ? "the file's kind does not go with the encoder" : "unknown encoder", encoder,
                   kn_container_name(container), names);
}

/* One link: notes what came of it. */
static int try_one(const kn_codec *c, const kn_sink_opts *opts, const kn_encoder_opts *eo, kn_attempts *tried,
                   kn_encoder *ret, kn_err *err)
{
    const char *barred = kn_fault_reason(opts, c->name);
    kn_err why = {0};
    int rc = barred ? kn_fail(&why, KN_EUNSUPPORTED, "%s", barred) : kn_encoder_open(c, eo, ret, &why);
    kn_attempts_add(tried, c->name, rc ? why.msg : "");
    return rc ? kn_fail(err, rc, "%s", why.msg) : 0;
}

static int open_named(const kn_sink_opts *opts, const kn_encoder_opts *eo, kn_attempts *tried,
                      kn_encoder *ret, kn_err *err)
{
    kn_err why = {0};
    int rc = try_one(kn_codec_find(opts->encoder), opts, eo, tried, ret, &why);
    return rc ? kn_fail(err, rc, "the encoder %s does not work for %dx%d pixels: %s", opts->encoder,
                        eo->width, eo->height, why.msg)
              : 0;
}

int kn_chain_open(kn_container container, const kn_sink_opts *opts, const kn_encoder_opts *eo,
                  kn_attempts *tried, kn_encoder *ret, kn_err *err)
{
    int rc = kn_chain_check_name(container, opts->encoder, err), first = tried->n;
    if (rc || opts->encoder)
        return rc ? rc : open_named(opts, eo, tried, ret, err);
    const kn_codec *c;
    for (int i = 0; (c = kn_codec_at(i)); i++) {
        if (!(c->containers & container))
            continue;
        if (container == KN_CONTAINER_MP4 && opts->no_software && !c->is_hardware) {
            kn_attempts_add(tried, c->name, NOT_ALLOWED);
            continue;
        }
        rc = try_one(c, opts, eo, tried, ret, err);
        if (!rc || rc == KN_ENOMEM)
            return rc;
    }
    char why[400];
    kn_attempts_reasons(tried, first, why, sizeof why);
    return kn_fail(err, KN_EUNSUPPORTED, "no %s encoder for %dx%d pixels works: %s",
                   kn_container_name(container), eo->width, eo->height, why);
}
