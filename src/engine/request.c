/* The parameter table, and setting parameters from text. */
#include "engine/request.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/guidance.h"
#include "engine/request_internal.h"
#include "engine/step_cache.h"
#include "media/format.h"
#include "text/utf8.h"

#define TEXT(field, meta, help)                                                                              \
    {                                                                                                        \
#field, KN_PARAM_TEXT, offsetof(kn_request, field), 0, 0, NULL, meta, help                           \
    }
#define FILE_(field, meta, help)                                                                             \
    {                                                                                                        \
#field, KN_PARAM_FILE, offsetof(kn_request, field), 0, 0, NULL, meta, help                           \
    }
#define CHOICE(field, choices, help)                                                                         \
    {                                                                                                        \
#field, KN_PARAM_CHOICE, offsetof(kn_request, field), 0, 0, choices, "NAME", help                    \
    }
#define INT(field, min, max, meta, help)                                                                     \
    {                                                                                                        \
#field, KN_PARAM_INT, offsetof(kn_request, field), min, max, NULL, meta, help                        \
    }
#define REAL(field, min, max, meta, help)                                                                    \
    {                                                                                                        \
#field, KN_PARAM_REAL, offsetof(kn_request, field), min, max, NULL, meta, help                       \
    }

/* "mp4|webm|..." */
#define BAR(name, type) "|" name
#define VIDEO_FORMATS   (&(KN_VIDEO_FORMAT_LIST(BAR))[1])

/* JavaScript's largest exact integer, so that a seed survives every client. */
#define SEED_MAX 9007199254740991.0

/* clang-format off */
const kn_param kn_params[] = {
    FILE_(model, "NAME|DIR|FILE", "what to run: a model folder (diffusers layout), a single file, or a name (demo, testsrc)"),
    TEXT(prompt, "TEXT", "what the video shows"),
    TEXT(negative_prompt, "TEXT", "what it must not show"),
    {"segment_prompt", KN_PARAM_TEXTS, offsetof(kn_request, segment_prompts), 0, 0, NULL, "TEXT", "what a segment of a long video shows, the first one first, the last one to the end; repeatable (default: the prompt)"},
    FILE_(image, "FILE", "first picture (image to video)"),
    FILE_(last_image, "FILE", "last picture (first-last-frame to video)"),
    FILE_(video, "FILE", "control video: a video file or a folder of pictures (VACE)"),
    FILE_(mask, "FILE", "mask video: white is generated, black is kept (VACE)"),
    {"reference", KN_PARAM_FILES, offsetof(kn_request, references), 0, 0, NULL, "FILE", "reference picture (VACE); repeatable"},
    {"control_scale", KN_PARAM_REALS, offsetof(kn_request, control_scale), -10, 10, NULL, "X[,X...]", "strength of the control, one for all layers or one a layer (VACE)"},
    INT(width, 8, KN_LIMIT_VIDEO_SIDE, "PIXELS", "width"),
    INT(height, 8, KN_LIMIT_VIDEO_SIDE, "PIXELS", "height"),
    INT(frames, 1, KN_LIMIT_FRAMES, "N", "number of frames"),
    INT(segment_frames, 0, KN_LIMIT_FRAMES, "N", "longer videos are made in segments of so many frames; 0 = in one piece (default: the model's own length)"),
    INT(overlap, 1, KN_LIMIT_FRAMES, "N", "frames of a segment that the next one goes on from"),
    INT(segment_tail, 0, KN_LIMIT_FRAMES, "N", "frames at a segment's end that are left out where another one follows"),
    INT(context_frames, 0, KN_LIMIT_FRAMES, "N", "sample a longer video in windows of so many frames; 0 = as a whole (default: the model's own length, where there are no segments)"),
    INT(context_overlap, 1, KN_LIMIT_FRAMES, "N", "frames that two windows share (default: half a window)"),
    CHOICE(colour_match, "on|off", "give a segment the colours of the one before (default: on)"),
    REAL(fps, 1, 240, "F", "frames per second of the file"),
    INT(steps, 1, KN_LIMIT_STEPS, "N", "denoising steps"),
    REAL(guidance, 0, 100, "G", "guidance scale; 1 switches the negative prompt off"),
    REAL(guidance_2, 0, 100, "G", "guidance scale of the low-noise expert (default: as --guidance)"),
    CHOICE(guidance_method, KN_GUIDANCE_METHODS, "how guidance is applied (default: cfg)"),
    {"skip_layers", KN_PARAM_REALS, offsetof(kn_request, skip_layers), 0, KN_LIMIT_BLOCKS - 1, NULL, "N[,N...]", "skip-layer guidance: blocks of the denoiser, from 0, that the prediction for the negative prompt leaves out"},
    REAL(skip_begin, 0, 1, "X", "share of the steps that is done before skip_layers begins (default: 0.1)"),
    REAL(skip_end, 0, 1, "X", "share of the steps after which skip_layers ends (default: 0.9)"),
    REAL(flow_shift, 0.01, 100, "X", "shift of the noise schedule"),
    REAL(boundary, 0, 1, "X", "share of the schedule below which the low-noise expert takes over"),
    CHOICE(scheduler, "unipc|euler", "solver of the denoising"),
    CHOICE(speed, "1x|1.5x|2x|3x", "leave steps out where the picture hardly changes, until sampling is so much faster"),
    CHOICE(cache, KN_STEP_CACHES, "which steps --speed leaves out: where they are (auto), EasyCache, first-block cache, TeaCache, MagCache; off = none"),
    INT(seed, 0, SEED_MAX, "N", "seed of the noise, as in PyTorch (default: chosen and reported)"),
    INT(max_sequence_length, 1, 4096, "N", "tokens the prompt is padded or cut to"),
    CHOICE(dtype, "f32|bf16|int8", "what to compute in"),
    CHOICE(device, "auto|cpu|cuda|cuda:0|cuda:1|cuda:2|cuda:3", "what to compute on: the processor, an NVIDIA card (the first one, or by its number); auto: a card where one works"),
    INT(threads, 1, KN_LIMIT_THREADS, "N", "processor threads (default: all cores)"),
    CHOICE(pin, "on|off", "bind each thread to a core (default: off)"),
    INT(vae_tile, 0, KN_LIMIT_VIDEO_SIDE, "PIXELS", "decode in tiles of this size; 0 = whole pictures (default: whole if they fit)"),
    INT(resident_blocks, 0, KN_LIMIT_BLOCKS, "N", "blocks of the denoiser that stay in memory, the others are read each time (default: as many as fit)"),
    {"memory_budget", KN_PARAM_BYTES, offsetof(kn_request, memory_budget), 1 << 20, 1ll << 50, NULL, "SIZE", "memory the program may use: 6G, 1500M (default: what is free)"},
    {"lora", KN_PARAM_LORAS, offsetof(kn_request, loras), 0, 0, NULL, "FILE[:STRENGTH[:high|low]]", "LoRA to merge; repeatable"},
    FILE_(vae, "FILE", "VAE weights, when the model file has none"),
    FILE_(text_encoder, "FILE", "text encoder weights, when the model file has none"),
    FILE_(transformer_2, "FILE", "low-noise expert, when the model is a single file"),
    FILE_(config, "DIR", "diffusers folder whose configs and tokenizer describe single files"),
    FILE_(latents, "FILE", "initial noise: tensor `latents` [1,C,T,H,W] of a safetensors file"),
    FILE_(save_tensors, "FILE", "write final `latents` and `frames` as safetensors"),
    FILE_(output, "FILE", "where the video goes: *.mp4, *.webm, *.gif, *.webp, or a folder for PNG frames"),
    CHOICE(format, VIDEO_FORMATS, "kind of file of the video (default: what the output's name says, of a job mp4)"),
    CHOICE(allow_software_video_fallback, "on|off", "encode MP4 on the processor where no hardware encoder works (default: on); off: GIF instead"),
    {0},
};
/* clang-format on */

const char *kn_param_type_name(kn_param_type t)
{
    static const char *const names[] = {
#define X(sym, name) name,
        KN_PARAM_TYPE_LIST(X)
#undef X
    };
    return names[t];
}

const kn_param *kn_param_find(const char *name)
{
    for (const kn_param *p = kn_params; p->name; p++) {
        const char *a = p->name, *b = name;
        while (*a && (*a == *b || (*a == '_' && *b == '-')))
            a++, b++;
        if (!*a && !*b)
            return p;
    }
    return NULL;
}

void *kn_request_field(const kn_request *rq, const kn_param *p)
{
    return (char *)(uintptr_t)rq + p->offset;
}

void kn_request_init(kn_request *rq)
{
    *rq = (kn_request){0};
    for (const kn_param *p = kn_params; p->name; p++) {
        if (p->type == KN_PARAM_INT || p->type == KN_PARAM_BYTES)
            *(int64_t *)kn_request_field(rq, p) = KN_UNSET_INT;
        if (p->type == KN_PARAM_REAL)
            *(double *)kn_request_field(rq, p) = KN_UNSET_REAL;
    }
}

static void free_strings(kn_strings *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->items[i]);
    free(s->items);
}

static void free_loras(kn_loras *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->items[i].path);
    free(l->items);
}

void kn_request_done(kn_request *rq)
{
    for (const kn_param *p = kn_params; p->name; p++) {
        void *f = kn_request_field(rq, p);
        if (p->type == KN_PARAM_TEXT || p->type == KN_PARAM_FILE || p->type == KN_PARAM_CHOICE)
            free(*(char **)f);
        else if (p->type == KN_PARAM_FILES || p->type == KN_PARAM_TEXTS)
            free_strings(f);
        else if (p->type == KN_PARAM_REALS)
            free(((kn_reals *)f)->items);
        else if (p->type == KN_PARAM_LORAS)
            free_loras(f);
    }
    kn_request_init(rq);
}

bool kn_request_has(const kn_request *rq, const kn_param *p)
{
    const void *f = kn_request_field(rq, p);
    switch (p->type) {
    case KN_PARAM_INT:
    case KN_PARAM_BYTES:
        return *(const int64_t *)f != KN_UNSET_INT;
    case KN_PARAM_REAL:
        return !isnan(*(const double *)f);
    case KN_PARAM_FILES:
    case KN_PARAM_TEXTS:
        return ((const kn_strings *)f)->n > 0;
    case KN_PARAM_REALS:
        return ((const kn_reals *)f)->n > 0;
    case KN_PARAM_LORAS:
        return ((const kn_loras *)f)->n > 0;
    default:
        return *(char *const *)f != NULL;
    }
}

static int no_memory(kn_err *err, const kn_param *p)
{
    return kn_fail(err, KN_ENOMEM, "no memory for %s", p->name);
}

static bool is_choice(const char *choices, const char *value)
{
    size_t n = strcspn(value, "|");
    if (value[n]) /* "a|b" is the list, not a choice */
        return false;
    for (const char *c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
        if (n && strncmp(c, value, n) == 0 && (c[n] == '|' || c[n] == '\0'))
            return true;
    return false;
}

static int check_string(const kn_param *p, const char *value, kn_err *err)
{
    bool is_text = p->type == KN_PARAM_TEXT || p->type == KN_PARAM_TEXTS;
    if (p->type == KN_PARAM_CHOICE && !is_choice(p->choices, value))
        return kn_fail(err, KN_EINVAL, "%s: \"%.64s\" is not one of %s", p->name, value, p->choices);
    if ((p->type == KN_PARAM_FILE || p->type == KN_PARAM_FILES) && !*value)
        return kn_fail(err, KN_EINVAL, "%s: the file name is empty", p->name);
    int rc = is_text ? kn_utf8_check(value, strlen(value), p->name, err) : 0;
    if (!rc && strlen(value) > KN_LIMIT_PROMPT_BYTES)
        rc = kn_fail(err, KN_ELIMIT, "%s has %zu bytes, more than the limit of %u", p->name, strlen(value),
                     KN_LIMIT_PROMPT_BYTES);
    return rc;
}

int kn_request_set_string(char **f, const kn_param *p, const char *value, kn_err *err)
{
    int rc = check_string(p, value, err);
    if (rc)
        return rc;
    char *copy = kn_strdup(value);
    if (!copy)
        return no_memory(err, p);
    free(*f);
    *f = copy;
    return 0;
}

int kn_request_set_int(int64_t *f, const kn_param *p, int64_t value, kn_err *err)
{
    if (value < (int64_t)p->min || value > (int64_t)p->max)
        return kn_fail(err, KN_EINVAL, "%s: %lld is outside %.0f..%.0f", p->name, (long long)value, p->min,
                       p->max);
    *f = value;
    return 0;
}

int kn_request_set_real(double *f, const kn_param *p, double value, kn_err *err)
{
    if (!(value >= p->min && value <= p->max))
        return kn_fail(err, KN_EINVAL, "%s: %g is outside %g..%g", p->name, value, p->min, p->max);
    *f = value;
    return 0;
}

static int parse_int(const kn_param *p, const char *s, int64_t *ret, kn_err *err)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || *end)
        return kn_fail(err, KN_EINVAL, "%s: \"%.64s\" is not a whole number", p->name, s);
    *ret = v;
    return 0;
}

/* "6G", "1.5GiB", "800 MB", "123456": units are powers of 1024, as memory is counted. */
int kn_request_parse_bytes(int64_t *f, const kn_param *p, const char *s, kn_err *err)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    bool bad = errno || end == s || !isfinite(v) || v < 0;
    end += strspn(end, " ");
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (unit) {
        v *= (double)(1ll << 10 * (unit - units + 1));
        end++;
        end += *end == 'i';
    }
    end += *end == 'B';
    if (bad || *end || v > p->max)
        return kn_fail(err, KN_EINVAL, "%s: \"%.64s\" is not a size such as 6G, 1500M or 800000000", p->name,
                       s);
    return kn_request_set_int(f, p, (int64_t)v, err);
}

static int parse_real(const kn_param *p, const char *s, double *ret, kn_err *err)
{
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    if (errno || end == s || *end || !isfinite(v))
        return kn_fail(err, KN_EINVAL, "%s: \"%.64s\" is not a number", p->name, s);
    *ret = v;
    return 0;
}

int kn_request_add_string(kn_strings *list, const kn_param *p, const char *value, kn_err *err)
{
    bool is_text = p->type == KN_PARAM_TEXTS;
    int most = is_text ? KN_LIMIT_SEGMENT_PROMPTS : KN_LIMIT_REFERENCES;
    int rc = check_string(p, value, err);
    if (rc)
        return rc;
    if (list->n >= most)
        return kn_fail(err, KN_ELIMIT, "%s: more than %d %s", p->name, most, is_text ? "texts" : "files");
    char **items = kn_realloc_array(list->items, (size_t)list->n + 1, sizeof *items);
    if (!items)
        return no_memory(err, p);
    list->items = items;
    items[list->n] = kn_strdup(value);
    if (!items[list->n])
        return no_memory(err, p);
    list->n++;
    return 0;
}

int kn_request_add_real(kn_reals *list, const kn_param *p, double value, kn_err *err)
{
    enum { MAX_REALS = 256 }; /* one a layer; the deepest model has 60 */
    double checked = 0;
    int rc = kn_request_set_real(&checked, p, value, err);
    if (rc)
        return rc;
    if (list->n >= MAX_REALS)
        return kn_fail(err, KN_ELIMIT, "%s: more than %d values", p->name, MAX_REALS);
    double *items = kn_realloc_array(list->items, (size_t)list->n + 1, sizeof *items);
    if (!items)
        return no_memory(err, p);
    list->items = items;
    items[list->n++] = checked;
    return 0;
}

static int add_reals(kn_reals *list, const kn_param *p, const char *value, kn_err *err)
{
    char *copy = kn_strdup(value), *save = NULL;
    if (!copy)
        return no_memory(err, p);
    int rc = *value ? 0 : kn_fail(err, KN_EINVAL, "%s: \"\" is not a number", p->name);
    for (char *s = strtok_r(copy, ",", &save); s && !rc; s = strtok_r(NULL, ",", &save)) {
        double v = 0;
        rc = parse_real(p, s, &v, err);
        if (!rc)
            rc = kn_request_add_real(list, p, v, err);
    }
    free(copy);
    return rc;
}

int kn_request_add_lora(kn_loras *list, const kn_param *p, const char *path, size_t path_size,
                        double strength, kn_expert expert, kn_err *err)
{
    if (!path_size)
        return kn_fail(err, KN_EINVAL, "%s: the file name is empty", p->name);
    if (!(fabs(strength) <= 100))
        return kn_fail(err, KN_EINVAL, "%s: strength %g is outside -100..100", p->name, strength);
    if (list->n >= KN_LIMIT_LORAS)
        return kn_fail(err, KN_ELIMIT, "%s: more than %d files", p->name, KN_LIMIT_LORAS);
    kn_lora_ref *items = kn_realloc_array(list->items, (size_t)list->n + 1, sizeof *items);
    if (!items)
        return no_memory(err, p);
    list->items = items;
    items[list->n] = (kn_lora_ref){kn_strndup(path, path_size), (float)strength, expert};
    if (!items[list->n].path)
        return no_memory(err, p);
    list->n++;
    return 0;
}

/* FILE[:STRENGTH[:high|low]]; a colon inside the name is fine as long as what follows it is not a number. */
int kn_request_parse_lora(kn_loras *list, const kn_param *p, const char *value, kn_err *err)
{
    size_t n = strlen(value);
    kn_expert expert = KN_EXPERT_BOTH;
    if (n > 5 && strcmp(value + n - 5, ":high") == 0)
        expert = KN_EXPERT_HIGH, n -= 5;
    else if (n > 4 && strcmp(value + n - 4, ":low") == 0)
        expert = KN_EXPERT_LOW, n -= 4;
    double strength = 1.0;
    size_t colon = n;
    while (colon > 0 && value[colon - 1] != ':')
        colon--;
    char *end;
    double v = strtod(value + colon, &end);
    if (colon > 0 && colon < n && end == value + n) {
        strength = v;
        n = colon - 1;
    }
    return kn_request_add_lora(list, p, value, n, strength, expert, err);
}

int kn_request_set(kn_request *rq, const char *name, const char *value, kn_err *err)
{
    const kn_param *p = kn_param_find(name);
    if (!p)
        return kn_fail(err, KN_EINVAL, "unknown parameter \"%.64s\"", name);
    void *f = kn_request_field(rq, p);
    int64_t i = 0;
    double d = 0;
    int rc = 0;
    switch (p->type) {
    case KN_PARAM_INT:
        rc = parse_int(p, value, &i, err);
        return rc ? rc : kn_request_set_int(f, p, i, err);
    case KN_PARAM_BYTES:
        return kn_request_parse_bytes(f, p, value, err);
    case KN_PARAM_REAL:
        rc = parse_real(p, value, &d, err);
        return rc ? rc : kn_request_set_real(f, p, d, err);
    case KN_PARAM_FILES:
    case KN_PARAM_TEXTS:
        return kn_request_add_string(f, p, value, err);
    case KN_PARAM_REALS:
        return add_reals(f, p, value, err);
    case KN_PARAM_LORAS:
        return kn_request_parse_lora(f, p, value, err);
    default:
        return kn_request_set_string(f, p, value, err);
    }
}
