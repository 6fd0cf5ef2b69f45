/* Progress from real units only: a bar on a terminal, plain lines elsewhere, JSON lines on request. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

const char *kn_format_seconds(double s, char *buf, size_t size)
{
    long t = lround(s);
    if (s < 0.095)
        snprintf(buf, size, "%.0f ms", s * 1e3);
    else if (s < 60)
        snprintf(buf, size, s < 10 ? "%.1f s" : "%.0f s", s);
    else if (t < 3600)
        snprintf(buf, size, "%ld:%02ld", t / 60, t % 60);
    else
        snprintf(buf, size, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    return buf;
}

const char *kn_format_bytes(double n, char *buf, size_t size)
{
    if (n < 1e9)
        snprintf(buf, size, n < 1e7 ? "%.1f MB" : "%.0f MB", n / 1e6);
    else
        snprintf(buf, size, "%.2f GB", n / 1e9);
    return buf;
}

void kn_progress_init(kn_progress *p, bool json)
{
    *p = (kn_progress){.out = json ? stdout : stderr, .json = json};
    const char *term = getenv("TERM");
    p->terminal = !json && isatty(fileno(p->out)) && !(term && strcmp(term, "dumb") == 0);
}

void kn_progress_clear(kn_progress *p)
{
    if (p->terminal && p->width)
        fprintf(p->out, "\r%*s\r", p->width, "");
    p->width = 0;
    fflush(p->out);
}

static void print_json(kn_progress *p, const kn_event *e)
{
    static const char *const kinds[] = {"note", "phase", "step", "phase_end"};
    json_t *o = json_pack("{s:s}", "event", kinds[e->kind]);
    if (e->kind == KN_EVENT_NOTE) {
        json_object_set_new(o, "text", json_string(e->text));
    } else {
        json_object_set_new(o, "phase", json_string(kn_phase_name(e->phase)));
        json_object_set_new(o, "detail", json_string(e->text));
        if (e->total)
            json_object_set_new(o, "total", json_integer(e->total));
        if (e->kind != KN_EVENT_PHASE)
            json_object_set_new(o, "elapsed_s", json_real(e->elapsed_s));
        if (e->kind == KN_EVENT_STEP) {
            json_object_set_new(o, "done", json_integer(e->done));
            json_object_set_new(o, "unit_s", json_real(e->unit_s));
            json_object_set_new(o, "eta_s", e->eta_s >= 0 ? json_real(e->eta_s) : json_null());
        }
    }
    char *text = json_dumps(o, JSON_COMPACT | KN_JSON_DIGITS);
    fprintf(p->out, "%s\n", text ? text : "{}");
    fflush(p->out);
    free(text);
    json_decref(o);
}

/* "sampling     [#########.......]  12/30  4.2 s/step  left 1:16" */
static void print_bar(kn_progress *p, const kn_event *e)
{
    enum { BAR = 24 };
    char bar[BAR + 1], line[256], unit[32], eta[32];
    int filled = e->total ? (int)(e->done * BAR / e->total) : 0;
    for (int i = 0; i < BAR; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR] = '\0';
    int n = snprintf(line, sizeof line, "%-9s [%s] %lld/%lld %s", kn_phase_name(e->phase), bar,
                     (long long)e->done, (long long)e->total, e->text);
    if (e->unit_s > 0 && e->eta_s >= 0)
        n += snprintf(line + n, sizeof line - (size_t)n, "  %s each, %s left",
                      kn_format_seconds(e->unit_s, unit, sizeof unit),
                      kn_format_seconds(e->eta_s, eta, sizeof eta));
    fprintf(p->out, "\r%-*s", p->width, line);
    p->width = n;
    fflush(p->out);
}

/* Not on a terminal: a line now and then. */
static void print_line(kn_progress *p, const kn_event *e)
{
    enum { EVERY_S = 2 };
    char unit[32], eta[32];
    double now = kn_clock_s();
    if (now - p->last_s < EVERY_S || e->done == e->total) /* the phase's end says the rest */
        return;
    p->last_s = now;
    fprintf(p->out, "%s %lld/%lld", kn_phase_name(e->phase), (long long)e->done, (long long)e->total);
    if (e->unit_s > 0 && e->eta_s >= 0)
        fprintf(p->out, ", %s each, %s left", kn_format_seconds(e->unit_s, unit, sizeof unit),
                kn_format_seconds(e->eta_s, eta, sizeof eta));
    fprintf(p->out, "\n");
}

/* "sampling     1:03  30 x 2.1 s" */
static void print_end(kn_progress *p, const kn_event *e)
{
    char took[32], unit[32];
    fprintf(p->out, "%-9s %8s", kn_phase_name(e->phase), kn_format_seconds(e->elapsed_s, took, sizeof took));
    if (*e->text)
        fprintf(p->out, "  %s", e->text);
    if (e->done > 1 && e->unit_s >= 0.05)
        fprintf(p->out, "  %lld x %s", (long long)e->done, kn_format_seconds(e->unit_s, unit, sizeof unit));
    fprintf(p->out, "\n");
}

void kn_progress_event(void *ud, const kn_event *e)
{
    kn_progress *p = ud;
    if (p->json) {
        print_json(p, e);
        return;
    }
    switch (e->kind) {
    case KN_EVENT_NOTE:
        kn_progress_clear(p);
        fprintf(p->out, "note: %s\n", e->text);
        break;
    case KN_EVENT_PHASE:
        p->last_s = kn_clock_s();
        if (p->terminal && e->total)
            print_bar(p, e);
        break;
    case KN_EVENT_STEP:
        if (p->terminal)
            print_bar(p, e);
        else
            print_line(p, e);
        break;
    case KN_EVENT_PHASE_END:
        kn_progress_clear(p);
        print_end(p, e);
        break;
    }
    fflush(p->out);
}
