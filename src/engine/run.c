/* Phases and their progress. */
#include "engine/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timeline.h"
#include "engine/warm.h"

const char *kn_phase_name(kn_phase p)
{
    static const char *const names[] = {
#define X(sym, name) name,
        KN_PHASE_LIST(X)
#undef X
    };
    return names[p];
}

kn_policy kn_request_policy(const kn_request *rq)
{
    return (kn_policy){.n_resident =
                           rq->resident_blocks == KN_UNSET_INT ? KN_ALL_BLOCKS : (int)rq->resident_blocks,
                       .vae_tile = rq->vae_tile == KN_UNSET_INT ? 0 : rq->vae_tile};
}

void kn_run_init(kn_run *r, kn_ctx *ctx, const kn_request *rq)
{
    *r = (kn_run){.ctx = ctx, .rq = rq, .policy = kn_request_policy(rq)};
}

void kn_run_done(kn_run *r)
{
    free(r->latents);
    r->latents = NULL;
}

static void emit(kn_run *r, const kn_event *e)
{
    char text[96];
    kn_event of_segment = *e;
    if (r->n_segments && e->kind != KN_EVENT_NOTE) {
        snprintf(text, sizeof text, "%s%ssegment %d of %d", e->text, *e->text ? ", " : "", r->segment + 1,
                 r->n_segments);
        of_segment.text = text;
    }
    if (r->event)
        r->event(r->event_ud, &of_segment);
}

void kn_run_note(kn_run *r, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    emit(r, &(kn_event){.kind = KN_EVENT_NOTE, .text = text, .eta_s = -1});
}

static kn_span *open_span(kn_run *r)
{
    return &r->spans[r->n_spans];
}

/* Cuts what does not fit, between characters. */
static void set_detail(kn_span *s, const char *detail)
{
    size_t n = strlen(detail), max = sizeof s->detail - 1;
    if (n > max)
        for (n = max; n && ((unsigned char)detail[n] & 0xC0) == 0x80;)
            n--;
    memcpy(s->detail, detail, n);
    s->detail[n] = '\0';
}

void kn_phase_begin(kn_run *r, kn_phase phase, const char *detail, int64_t total)
{
    KN_ASSERT(r->n_spans < KN_MAX_SPANS);
    kn_span *s = open_span(r);
    *s = (kn_span){.phase = phase};
    set_detail(s, detail);
    r->began_s = r->unit_began_s = kn_clock_s();
    r->n_unit_times = 0;
    r->is_uneven = false;
    r->units_done = 0;
    r->units_total = total;
    r->stats_before = r->ctx->stats;
    r->made_before = r->ctx->dev->n_weights_made;
    r->recalled_before = r->ctx->dev->n_weights_recalled;
    if (r->warm && phase != KN_PHASE_LOAD) /* what is loaded makes its own (kn_run_recall) */
        kn_warm_make_room(r->warm, r->plan, phase);
    kn_device_reset_peak(r->ctx->dev);
    emit(r,
         &(kn_event){.kind = KN_EVENT_PHASE, .phase = phase, .text = s->detail, .total = total, .eta_s = -1});
}

void kn_phase_resume(kn_run *r)
{
    r->unit_began_s = kn_clock_s();
}

void kn_phase_skip(kn_run *r, int64_t done)
{
    r->units_done = done;
    kn_phase_resume(r);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double usual_unit(const kn_run *r)
{
    double sorted[KN_UNIT_TIMES];
    int n = r->n_unit_times < KN_UNIT_TIMES ? r->n_unit_times : KN_UNIT_TIMES;
    if (!n)
        return 0;
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += r->unit_times[i];
    if (r->is_uneven)
        return sum / n;
    memcpy(sorted, r->unit_times, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return (sorted[n / 2] + sorted[(n - 1) / 2]) / 2;
}

void kn_phase_step(kn_run *r, int64_t done)
{
    double now = kn_clock_s();
    if (done > r->units_done) {
        kn_timeline_add(r->ctx->timeline, KN_TRACK_UNITS, kn_phase_name(open_span(r)->phase), done,
                        r->unit_began_s, now, 0);
        r->unit_times[r->n_unit_times++ % KN_UNIT_TIMES] =
            (now - r->unit_began_s) / (double)(done - r->units_done);
        r->unit_began_s = now;
        r->units_done = done;
    }
    kn_span *s = open_span(r);
    kn_event e = {.kind = KN_EVENT_STEP,
                  .phase = s->phase,
                  .text = s->detail,
                  .done = done,
                  .total = r->units_total,
                  .elapsed_s = now - r->began_s,
                  .unit_s = usual_unit(r),
                  .eta_s = -1};
    if (e.total && e.unit_s > 0)
        e.eta_s = e.unit_s * (double)(e.total - done);
    emit(r, &e);
}

static void add_span(kn_span *sum, const kn_span *s)
{
    sum->seconds += s->seconds;
    sum->units += s->units;
    for (int i = 0; i < KN_WORK_COUNT; i++) {
        sum->stats.flops[i] += s->stats.flops[i];
        sum->stats.bytes[i] += s->stats.bytes[i];
    }
    sum->stats.loaded_bytes += s->stats.loaded_bytes;
    sum->stats.recalled_bytes += s->stats.recalled_bytes;
    sum->weights_made += s->weights_made;
    sum->weights_recalled += s->weights_recalled;
    sum->stats.n_ops += s->stats.n_ops;
    sum->weights_bytes = s->weights_bytes > sum->weights_bytes ? s->weights_bytes : sum->weights_bytes;
    sum->peak_bytes = s->peak_bytes > sum->peak_bytes ? s->peak_bytes : sum->peak_bytes;
}

/* Closes the open span: it joins one of its kind that an earlier segment left. */
static void close_span(kn_run *r)
{
    const kn_span *s = open_span(r);
    for (int i = 0; i < r->n_spans && r->n_segments; i++)
        if (r->spans[i].phase == s->phase && strcmp(r->spans[i].detail, s->detail) == 0) {
            add_span(&r->spans[i], s);
            return;
        }
    r->n_spans++;
}

void kn_phase_end(kn_run *r)
{
    kn_span *s = open_span(r);
    int times = r->n_alike ? r->n_alike : 1;
    s->seconds = kn_clock_s() - r->began_s;
    kn_timeline_add(r->ctx->timeline, KN_TRACK_PHASES, kn_phase_name(s->phase), -1, r->began_s,
                    r->began_s + s->seconds, 0);
    s->units = r->units_done * times;
    for (int i = 0; i < KN_WORK_COUNT; i++) {
        s->stats.flops[i] = (r->ctx->stats.flops[i] - r->stats_before.flops[i]) * times;
        s->stats.bytes[i] = (r->ctx->stats.bytes[i] - r->stats_before.bytes[i]) * times;
    }
    s->stats.loaded_bytes = (r->ctx->stats.loaded_bytes - r->stats_before.loaded_bytes) * times;
    s->stats.recalled_bytes = (r->ctx->stats.recalled_bytes - r->stats_before.recalled_bytes) * times;
    s->weights_made = r->ctx->dev->n_weights_made - r->made_before;
    s->weights_recalled = r->ctx->dev->n_weights_recalled - r->recalled_before;
    s->stats.n_ops = (r->ctx->stats.n_ops - r->stats_before.n_ops) * times;
    s->weights_bytes = r->ctx->dev->mem_weights_bytes;
    s->peak_bytes = r->ctx->dev->mem_peak_bytes;
    if (s->peak_bytes > r->peak_bytes)
        r->peak_bytes = s->peak_bytes;
    if (kn_pool_peak(r->ctx) > r->pool_peak_bytes)
        r->pool_peak_bytes = kn_pool_peak(r->ctx);
    emit(r, &(kn_event){.kind = KN_EVENT_PHASE_END,
                        .phase = s->phase,
                        .text = s->detail,
                        .done = r->units_done,
                        .total = r->units_total,
                        .elapsed_s = s->seconds,
                        .unit_s = usual_unit(r),
                        .eta_s = 0});
    r->last_phase = s->phase;
    close_span(r);
}
