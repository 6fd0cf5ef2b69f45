#include "hub/choose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/weights_name.h"

typedef struct chooser {
    const kn_hub_repo *repo;
    const kn_wish *wish;
    kn_choices c;
    bool has_variant; /* some part has the one that was wished for */
} chooser;

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcasecmp(s + n - m, end) == 0;
}

static bool has_ending(const char *s, const char *const *endings)
{
    for (; *endings; endings++)
        if (ends_with(s, *endings))
            return true;
    return false;
}

static const char *const loadable[] = {".safetensors", ".gguf", NULL};
static const char *const pickled[] = {".bin", ".pt", ".pth", ".ckpt", ".pkl", NULL};
static const char *const settings[] = {".json", ".txt", ".model", ".jinja", NULL};

/* The file's name if it lies directly in the folder, else NULL. */
static const char *name_in(const char *folder, const char *path)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/') ? path + n + 1
                                                                                         : NULL;
}

static int add(chooser *x, const kn_hub_file *f, const char *as, kn_err *err)
{
    if (!as || __builtin_add_overflow(x->c.size, f->size, &x->c.size))
        return kn_fail(err, as ? KN_EFORMAT : KN_ENOMEM, "%s: %s", x->wish->id,
                       as ? "the files are larger than any disk" : "no memory for a list of files");
    x->c.items[x->c.n++] = (kn_choice){f, as};
    return 0;
}

/* ---- the weights of a part ---- */

/* What kind of weights of a folder is meant; "" of a stem: none found yet. */
typedef struct pick {
    char stem[64], variant[64];
    int rank; /* lower is better */
} pick;

static int rank_of(const chooser *x, const kn_weights_name *w)
{
    static const char *const stems[] = {"diffusion_pytorch_model", "model"};
    static const char *const variants[] = {"", "fp16", "bf16"};
    int stem = 2, variant = 3;
    for (int i = 1; i >= 0; i--)
        stem = strcmp(w->stem, stems[i]) ? stem : i;
    for (int i = 2; i >= 0; i--)
        variant = strcmp(w->variant, variants[i]) ? variant : i;
    if (x->wish->variant && strcmp(w->variant, x->wish->variant) == 0)
        variant = -1;
    return 10 * stem + variant + 1;
}

static void pick_weights(const chooser *x, const char *folder, pick *ret)
{
    *ret = (pick){.rank = 1000};
    for (int i = 0; i < x->repo->n_files; i++) {
        kn_weights_name w;
        const char *name = name_in(folder, x->repo->files[i].path);
        if (!name || !kn_weights_name_read(name, &w) || w.is_index || rank_of(x, &w) >= ret->rank)
            continue;
        ret->rank = rank_of(x, &w);
        memcpy(ret->stem, w.stem, sizeof ret->stem);
        memcpy(ret->variant, w.variant, sizeof ret->variant);
    }
}

/* The files of a pick: whole, pieces, their index. */
typedef struct found {
    const kn_hub_file *whole, *index;
    int n_pieces, n_there;
} found;

static bool is_of(const pick *p, const char *name, kn_weights_name *ret)
{
    return name && kn_weights_name_read(name, ret) && strcmp(ret->stem, p->stem) == 0 &&
           strcmp(ret->variant, p->variant) == 0;
}

static found find_weights(const chooser *x, const char *folder, const pick *p)
{
    found all = {0};
    for (int i = 0; i < x->repo->n_files; i++) {
        const kn_hub_file *f = &x->repo->files[i];
        kn_weights_name w;
        if (!is_of(p, name_in(folder, f->path), &w))
            continue;
        if (w.is_index)
            all.index = f;
        else if (!w.n_pieces)
            all.whole = f;
        else if (!all.n_pieces || w.n_pieces == all.n_pieces) {
            all.n_pieces = w.n_pieces;
            all.n_there++;
        }
    }
    return all;
}

static int add_pieces(chooser *x, const char *folder, const pick *p, const found *all, kn_err *err)
{
    int rc = 0;
    if (all->n_there != all->n_pieces || !all->index)
        return kn_fail(err, KN_EFORMAT, "%s: of the weights in %.64s there are %d pieces of %d and %s index",
                       x->wish->id, folder, all->n_there, all->n_pieces, all->index ? "an" : "no");
    for (int i = 0; !rc && i < x->repo->n_files; i++) {
        const kn_hub_file *f = &x->repo->files[i];
        kn_weights_name w;
        if (is_of(p, name_in(folder, f->path), &w) && w.n_pieces == all->n_pieces && !w.is_index)
            rc = add(x, f, f->path, err);
    }
    return rc ? rc
              : add(x, all->index,
                    kn_arena_printf(&x->c.arena, "%s/%s.safetensors.index.json", folder, p->stem), err);
}

static bool has_pickles(const chooser *x, const char *folder)
{
    for (int i = 0; i < x->repo->n_files; i++) {
        const char *name = name_in(folder, x->repo->files[i].path);
        if (name && has_ending(name, pickled))
            return true;
    }
    return false;
}

static int add_weights(chooser *x, const char *folder, kn_err *err)
{
    pick p;
    pick_weights(x, folder, &p);
    if (!*p.stem)
        return has_pickles(x, folder) ? kn_fail(err, KN_EUNSUPPORTED,
                                                "%s: the weights in %.64s are pickled (.bin), which can run "
                                                "code when they are read; "
                                                "expected safetensors",
                                                x->wish->id, folder)
                                      : 0;
    found all = find_weights(x, folder, &p);
    x->has_variant |= x->wish->variant && strcmp(p.variant, x->wish->variant) == 0;
    if (all.whole)
        return add(x, all.whole, kn_arena_printf(&x->c.arena, "%s/%s.safetensors", folder, p.stem), err);
    return add_pieces(x, folder, &p, &all, err);
}

/* ---- a pipeline ---- */

static int add_part(chooser *x, const char *folder, kn_err *err)
{
    int before = x->c.n, rc = 0;
    if (strchr(folder, '/') || !kn_hub_path_is_safe(folder))
        return kn_fail(err, KN_EFORMAT,
                       "%s: model_index.json names the part \"%.64s\", expected a folder's name", x->wish->id,
                       folder);
    for (int i = 0; !rc && i < x->repo->n_files; i++) {
        const kn_hub_file *f = &x->repo->files[i];
        kn_weights_name w;
        const char *name = name_in(folder, f->path);
        if (name && has_ending(name, settings) && !kn_weights_name_read(name, &w) &&
            !strstr(name, ".bin.index."))
            rc = add(x, f, f->path, err);
    }
    if (!rc)
        rc = add_weights(x, folder, err);
    if (!rc && x->c.n == before)
        rc =
            kn_fail(err, KN_EFORMAT, "%s: model_index.json names the part %.64s, of which there are no files",
                    x->wish->id, folder);
    return rc;
}

static bool is_wanted_at_top(const char *path)
{
    static const char *const names[] = {"model_index.json", "kinora.json", "README.md", NULL};
    if (strchr(path, '/'))
        return false;
    for (int i = 0; names[i]; i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return strncmp(path, "LICENSE", 7) == 0 || strncmp(path, "NOTICE", 6) == 0;
}

static int fail_variant(const chooser *x, kn_err *err)
{
    json_t *all = kn_hub_variants(x->repo);
    char *text = all && json_array_size(all) ? json_dumps(all, JSON_COMPACT) : NULL;
    int rc = kn_fail(err, KN_ENOTFOUND, "%s has no weights of variant \"%.64s\"; it has %.200s", x->wish->id,
                     x->wish->variant, text ? text : "none but the plain ones");
    free(text);
    json_decref(all);
    return rc;
}

static int choose_pipeline(chooser *x, kn_err *err)
{
    const char *name;
    json_t *v;
    int rc = 0;
    for (int i = 0; !rc && i < x->repo->n_files; i++)
        if (is_wanted_at_top(x->repo->files[i].path))
            rc = add(x, &x->repo->files[i], x->repo->files[i].path, err);
    json_object_foreach((json_t *)(uintptr_t)x->wish->index, name, v)
    {
        if (!rc && *name != '_' && json_array_size(v) == 2 && json_is_string(json_array_get(v, 1)))
            rc = add_part(x, name, err);
    }
    if (!rc && x->wish->variant && !x->has_variant)
        rc = fail_variant(x, err);
    return rc;
}

/* ---- a single file ---- */

static int choose_file(chooser *x, const char *path, kn_err *err)
{
    const kn_hub_file *f = kn_hub_repo_find(x->repo, path);
    x->c.is_single = true;
    if (!f)
        return kn_fail(err, KN_ENOTFOUND, "%s has no file \"%.200s\"", x->wish->id, path);
    if (!has_ending(path, loadable))
        return kn_fail(err, KN_EUNSUPPORTED, "%.200s: expected weights in safetensors or GGUF%s", path,
                       has_ending(path, pickled) ? "; pickled ones can run code when they are read" : "");
    return add(x, f, f->path, err);
}

/* No pipeline: the file, if there is but one. */
static int choose_only(chooser *x, kn_err *err)
{
    char names[300] = "";
    const kn_hub_file *only = NULL;
    int n = 0;
    for (int i = 0; i < x->repo->n_files; i++) {
        const kn_hub_file *f = &x->repo->files[i];
        size_t at = strlen(names);
        if (!has_ending(f->path, loadable))
            continue;
        only = f;
        if (n++ < 3)
            snprintf(names + at, sizeof names - at, "%s%.90s", at ? ", " : "", f->path);
    }
    if (n == 1)
        return choose_file(x, only->path, err);
    if (!n)
        return kn_fail(err, KN_EUNSUPPORTED,
                       "%s is no pipeline (it has no model_index.json) and has no safetensors or GGUF file",
                       x->wish->id);
    return kn_fail(err, KN_EINVAL, "%s is no pipeline; say which of its %d files of weights: %s%s",
                   x->wish->id, n, names, n > 3 ? ", ..." : "");
}

int kn_choose(const kn_hub_repo *r, const kn_wish *w, kn_choices *ret, kn_err *err)
{
    chooser x = {.repo = r, .wish = w};
    int rc;
    kn_arena_init(&x.c.arena, 0);
    x.c.items = kn_calloc((size_t)r->n_files + 1, sizeof *x.c.items);
    if (!x.c.items)
        rc = kn_fail(err, KN_ENOMEM, "%s: no memory for a list of files", w->id);
    else if (w->file)
        rc = choose_file(&x, w->file, err);
    else
        rc = w->index ? choose_pipeline(&x, err) : choose_only(&x, err);
    if (rc)
        kn_choices_done(&x.c);
    else
        *ret = x.c;
    return rc;
}

void kn_choices_done(kn_choices *c)
{
    free(c->items);
    kn_arena_done(&c->arena);
    *c = (kn_choices){0};
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *kn_hub_variants(const kn_hub_repo *r)
{
    enum { MOST = 32 };
    const char *sorted[MOST];
    json_t *seen = json_object(), *list = json_array(), *v;
    const char *name;
    int n = 0;
    for (int i = 0; i < r->n_files && json_object_size(seen) < MOST; i++) {
        kn_weights_name w;
        if (strchr(r->files[i].path, '/') && kn_weights_name_read(strrchr(r->files[i].path, '/') + 1, &w) &&
            !w.is_index && *w.variant)
            json_object_set_new(seen, w.variant, json_true());
    }
    json_object_foreach(seen, name, v) sorted[n++] = name;
    qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_string(sorted[i]));
    json_decref(seen);
    return list;
}
