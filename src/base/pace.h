/* What nobody needs as often as it could be done: it may cost a hundredth of the time. */
#ifndef KN_BASE_PACE_H
#define KN_BASE_PACE_H

#include <stdbool.h>

/* So many times what it took pass before the next time. */
#define KN_PACE_PAUSE 100.0

typedef struct kn_pace {
    double next_s;      /* when it may be done again; 0: at once */
    double max_pause_s; /* 0: none */
} kn_pace;

static inline bool kn_pace_is_due(const kn_pace *p, double now_s)
{
    return now_s >= p->next_s;
}

/* It was done and took that long. */
static inline void kn_pace_did(kn_pace *p, double took_s, double now_s)
{
    double pause_s = KN_PACE_PAUSE * took_s;
    p->next_s = now_s + (p->max_pause_s > 0 && pause_s > p->max_pause_s ? p->max_pause_s : pause_s);
}

#endif
