#include "server/feed_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

enum {
    OVERHEAD = 128, /* what a message costs beside its text */
    REPLAY_BYTES = KN_LIMIT_FEED_BYTES / 4,
};

/* ---- messages ---- */

static bool is_word(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return s && *s && !s[strspn(s, letters)];
}

/* "id", "event" and "data" of a text that has no line ends. */
static char *render(int64_t id, const char *type, const char *text, size_t *ret_begin, size_t *ret_size)
{
    kn_buf b;
    kn_buf_init(&b, strlen(text) + OVERHEAD);
    if (id)
        kn_buf_printf(&b, "id: %lld\n", (long long)id);
    if (is_word(type))
        kn_buf_printf(&b, "event: %.64s\n", type);
    kn_buf_puts(&b, "data: ");
    *ret_begin = b.size;
    kn_buf_puts(&b, text);
    kn_buf_puts(&b, "\n\n");
    *ret_size = b.size;
    return kn_buf_take(&b);
}

static kn_message *make_message(int64_t id, const char *key, const char *text)
{
    json_t *json = NULL;
    char *compact = NULL, *event = NULL;
    size_t begin = 0, size = 0;
    kn_message *m = kn_calloc(1, sizeof *m);
    if (!kn_json_parse(text, strlen(text), "a message", &json, NULL) && text[strcspn(text, "\r\n")])
        compact = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY);
    if (m && json && (compact || !text[strcspn(text, "\r\n")]))
        event = render(id, json_string_value(json_object_get(json, "type")), compact ? compact : text, &begin,
                       &size);
    json_decref(json);
    free(compact);
    char *own_key = kn_strdup(key);
    if (!event || (key && !own_key)) {
        free(own_key);
        free(event);
        free(m);
        return NULL;
    }
    *m = (kn_message){1, id, own_key, event, size, event + begin, size - begin - 2};
    return m;
}

void kn_message_unref(kn_message *m)
{
    if (!m || __atomic_sub_fetch(&m->n_refs, 1, __ATOMIC_ACQ_REL))
        return;
    free(m->key);
    free((void *)(uintptr_t)m->event);
    free(m);
}

/* ---- lines ---- */

static void put_last(kn_line *line, kn_waiting *w)
{
    w->prev = line->last;
    w->next = NULL;
    if (line->last)
        line->last->next = w;
    else
        line->first = w;
    line->last = w;
}

static void unlink_from(kn_line *line, kn_waiting *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        line->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        line->last = w->prev;
}

static void drop(kn_listener *l, kn_line *line, kn_waiting *w)
{
    unlink_from(line, w);
    l->n_bytes -= w->m->event_size + OVERHEAD;
    kn_message_unref(w->m);
    free(w);
}

static void drop_all(kn_listener *l)
{
    while (l->now.first)
        drop(l, &l->now, l->now.first);
    while (l->later.first)
        drop(l, &l->later, l->later.first);
}

static void cut_off(kn_listener *l)
{
    drop_all(l);
    l->is_cut = true;
    l->wake(l->ud, false);
}

static void replace_key(kn_listener *l, kn_line *line, const char *key)
{
    for (kn_waiting *w = line->last, *prev; w; w = prev) {
        prev = w->prev;
        if (w->m->key && strcmp(w->m->key, key) == 0) {
            drop(l, line, w);
            return; /* there is never more than one */
        }
    }
}

/* At the end of a line of the listener; false: it was cut off. */
static bool append(kn_listener *l, kn_line *line, kn_message *m)
{
    size_t cost = m->event_size + OVERHEAD;
    if (m->key)
        replace_key(l, line, m->key);
    bool fits = l->n_bytes == 0 || l->n_bytes + cost <= KN_LIMIT_FEED_BYTES;
    kn_waiting *w = fits ? kn_calloc(1, sizeof *w) : NULL;
    if (!w) {
        cut_off(l);
        return false;
    }
    __atomic_add_fetch(&m->n_refs, 1, __ATOMIC_RELAXED);
    w->m = m;
    l->n_bytes += cost;
    put_last(line, w);
    return true;
}

/* ---- listeners ---- */

void kn_listener_attach(kn_listener *l, kn_feed *feed, int64_t last_id, kn_wake_fn wake, void *ud)
{
    *l = (kn_listener){.feed = feed,
                       .last_id = last_id,
                       .is_behind = last_id >= 0 && feed->replay != NULL,
                       .wake = wake,
                       .ud = ud};
    pthread_mutex_lock(&feed->lock);
    l->next = feed->listeners;
    if (l->next)
        l->next->prev = l;
    feed->listeners = l;
    feed->n_listeners++;
    pthread_mutex_unlock(&feed->lock);
}

void kn_listener_detach(kn_listener *l)
{
    kn_feed *f = l->feed;
    if (!f)
        return;
    l->feed = NULL;
    pthread_mutex_lock(&f->lock);
    if (l->prev)
        l->prev->next = l->next;
    else
        f->listeners = l->next;
    if (l->next)
        l->next->prev = l->prev;
    f->n_listeners--;
    drop_all(l);
    pthread_mutex_unlock(&f->lock);
}

/* The rest of a round comes in the next one, after the last that found room. */
static void put_again(void *to, int64_t id, const char *json)
{
    kn_listener *l = to;
    kn_message *m = l->is_full ? NULL : make_message(id, NULL, json);
    pthread_mutex_lock(&l->feed->lock);
    if (!m || (l->now.first && l->n_bytes + m->event_size + OVERHEAD > REPLAY_BYTES))
        l->is_full = true;
    else if (!l->is_cut && append(l, &l->now, m) && id > l->last_id)
        l->last_id = id;
    pthread_mutex_unlock(&l->feed->lock);
    kn_message_unref(m);
}

/* What was published meanwhile: dropped where it was given again, or will be; otherwise it follows. */
static void end_round(kn_listener *l)
{
    for (kn_waiting *w = l->later.first, *next; w; w = next) {
        next = w->next;
        bool is_kept = w->m->id != 0;
        if (is_kept && (l->is_full || w->m->id <= l->last_id)) {
            drop(l, &l->later, w);
        } else if (!l->is_full) {
            unlink_from(&l->later, w);
            put_last(&l->now, w);
        }
    }
    l->is_behind = l->is_full;
    if (l->is_behind && !l->now.first) /* there was no memory even for one */
        cut_off(l);
}

void kn_listener_catch_up(kn_listener *l)
{
    kn_feed *f = l->feed;
    pthread_mutex_lock(&f->lock);
    bool is_due = l->is_behind && !l->is_cut && !l->now.first;
    int64_t last_id = l->last_id;
    l->is_full = false;
    pthread_mutex_unlock(&f->lock);
    if (!is_due)
        return;
    f->replay(f->ud, last_id, put_again, l);
    pthread_mutex_lock(&f->lock);
    if (!l->is_cut)
        end_round(l);
    pthread_mutex_unlock(&f->lock);
}

kn_message *kn_listener_take(kn_listener *l)
{
    kn_waiting *w = l->now.first;
    if (!w)
        return NULL;
    kn_message *m = w->m;
    __atomic_add_fetch(&m->n_refs, 1, __ATOMIC_RELAXED);
    drop(l, &l->now, w);
    return m;
}

/* ---- the feed ---- */

kn_feed *kn_feed_new(kn_feed_replay_fn replay, void *ud)
{
    kn_feed *f = kn_calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->replay = replay;
    f->ud = ud;
    pthread_mutex_init(&f->lock, NULL);
    return f;
}

void kn_feed_free(kn_feed *f)
{
    if (!f)
        return;
    KN_ASSERT(!f->listeners);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void kn_feed_publish(kn_feed *f, int64_t id, const char *key, const char *json)
{
    kn_message *m = make_message(id, key, json);
    pthread_mutex_lock(&f->lock);
    for (kn_listener *l = f->listeners; l; l = l->next) {
        if (l->is_cut)
            continue;
        if (!m) /* those who miss one come back and are given it again */
            cut_off(l);
        else if (append(l, l->is_behind ? &l->later : &l->now, m) && !l->is_behind)
            l->wake(l->ud, m->key != NULL);
    }
    pthread_mutex_unlock(&f->lock);
    kn_message_unref(m);
}

int kn_feed_n_listeners(kn_feed *f)
{
    pthread_mutex_lock(&f->lock);
    int n = f->n_listeners;
    pthread_mutex_unlock(&f->lock);
    return n;
}
