/* Single files, GGUF, fp8, LoRAs; schedulers; random numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/scheduler.h"
#include "models/common/t5.h"
#include "models/wan/names.h"
#include "parity.h"

/* ---- LoRA: "dit.out.comfy_0.6_peft_-0.3" = comfy at 0.6, then peft at -0.3 ---- */

static int add_named(parity *p, kn_lora_set *set, kn_checkpoint *target, const char *spec, kn_err *err)
{
    char rest[128], file[160];
    snprintf(rest, sizeof rest, "%s", spec);
    char *s = rest;
    while (*s) {
        /* the longest prefix that is a file, then _strength */
        char *name_end = NULL;
        for (char *u = s; (u = strchr(u, '_')); u++) {
            char keep = *u;
            *u = '\0';
            snprintf(file, sizeof file, "%s.safetensors", s);
            char *path = parity_path(p, file);
            char *after;
            *u = keep;
            if (kn_path_exists(path) && (strtod(u + 1, &after), after != u + 1))
                name_end = u;
            free(path);
        }
        if (!name_end)
            return kn_fail(err, KN_EINTERNAL, "cannot read %s", spec);
        *name_end = '\0';
        char *after;
        float strength = (float)strtod(name_end + 1, &after);
        snprintf(file, sizeof file, "%s.safetensors", s);
        char *path = parity_path(p, file);
        int rc = kn_lora_set_add(set, path, strength, target, &kn_wan_names, err);
        free(path);
        if (rc)
            return rc;
        s = *after == '_' ? after + 1 : after;
    }
    return 0;
}

void parity_lora(parity *p)
{
    char *dir = parity_model_dir(p), *weights = kn_path_join(dir, "transformer"),
         *config = kn_path_join(weights, "config.json");
    for (int i = 0; i < kn_checkpoint_count(p->golden); i++) {
        const char *name = kn_checkpoint_at(p->golden, i)->name;
        if (strncmp(name, "dit.out.", 8) != 0)
            continue;
        kn_err err = {0};
        kn_lora_set *set = NULL;
        kn_checkpoint *target = NULL;
        int rc = kn_lora_set_new(&set, &err);
        if (!rc)
            rc = kn_checkpoint_open(weights, NULL, &target, &err);
        if (!rc && strcmp(name + 8, "base") != 0)
            rc = add_named(p, set, target, name + 8, &err);
        if (rc)
            parity_error(p, name, &err);
        else
            parity_transformer(p, "dit", weights, config, set, name);
        kn_lora_set_free(set);
        kn_checkpoint_close(target);
    }
    free(dir);
    free(weights);
    free(config);
}

/* ---- single files ---- */

static void text_file(parity *p, const char *path, const char *out)
{
    kn_err err = {0};
    component k;
    kn_t5_config f;
    char *dir = parity_model_dir(p), *config = kn_path_join(dir, "text_encoder/config.json");
    json_t *j = parity_json(p, config, &err);
    float *ids_f = parity_input(p, "text.ids", NULL);
    parity_mark(p, "text.mask");
    const kn_entry *e = kn_checkpoint_find(p->golden, "text.ids");
    if (!j || !ids_f || kn_t5_config_read(j, config, &f, &err) || component_open(p, &k, path, NULL, &err)) {
        parity_error(p, out, &err);
    } else if (kn_t5_rename(k.ck, &err)) {
        parity_error(p, out, &err);
        component_close(&k);
    } else {
        int n = (int)kn_entry_numel(e);
        int32_t *ids = kn_calloc((size_t)n, sizeof *ids);
        for (int i = 0; i < n; i++)
            ids[i] = (int32_t)ids_f[i];
        k.loader.dtype = p->act;
        kn_t5_seq seq = {.ids = ids, .n = n};
        parity_check_tensor(p, &k.ctx, out, parity_encode(&k.ctx, &f, &k.loader, &seq, 1, NULL),
                            parity_tolerance(p));
        if (!kn_ok(&k.ctx))
            parity_error(p, out, &k.ctx.err);
        free(ids);
        component_close(&k);
    }
    free(ids_f);
    json_decref(j);
    free(dir);
    free(config);
}

void parity_single_files(parity *p)
{
    char *dir = parity_model_dir(p), *config = kn_path_join(dir, "transformer/config.json");
    const char *file;
    json_t *v;
    json_object_foreach(json_object_get(p->fixture, "files"), file, v)
    {
        const char *golden = json_string_value(json_object_get(v, "golden"));
        char *path = parity_path(p, file);
        if (!golden) /* wan22-original names them in a sentence */
            golden = strstr(file, "vae") ? "vae" : "dit.out.bf16";
        if (strncmp(golden, "vae", 3) == 0)
            parity_vae(p, path, NULL);
        else if (strncmp(golden, "text", 4) == 0)
            text_file(p, path, golden);
        else
            parity_transformer(p, "dit", path, config, NULL, golden);
        free(path);
    }
    free(dir);
    free(config);
}

/* ---- schedulers ---- */

static void check_case(parity *p, const json_t *c)
{
    char name[64], cls[64];
    const char *id = json_string_value(json_object_get(c, "case"));
    int steps = (int)json_integer_value(json_object_get(c, "steps"));
    json_t *config = json_deep_copy(json_object_get(c, "config"));
    snprintf(cls, sizeof cls, "%s", json_string_value(json_object_get(c, "class")));
    json_object_set_new(config, "_class_name", json_string(cls));
    const kn_entry *e = NULL;
    snprintf(name, sizeof name, "%s.sample0", id);
    float *sample = parity_input(p, name, &e);
    int64_t n = sample ? kn_entry_numel(e) : 1;
    snprintf(name, sizeof name, "%s.model_out", id);
    float *model_out = parity_input(p, name, NULL);
    kn_scheduler_config f;
    kn_scheduler *s = NULL;
    kn_err err = {0};
    if (kn_scheduler_config_read(config, id, &f, &err) || kn_scheduler_new(&f, steps, n, &s, &err)) {
        parity_error(p, id, &err);
    } else {
        float values[1024];
        for (int i = 0; i <= steps; i++)
            values[i] = (float)s->sigmas[i];
        snprintf(name, sizeof name, "%s.sigmas", id);
        parity_check(p, name, values, steps + 1, 1e-6);
        for (int i = 0; i < steps; i++)
            values[i] = (float)s->timesteps[i];
        snprintf(name, sizeof name, "%s.timesteps", id);
        parity_check(p, name, values, steps, 1e-6);
        float *prev = kn_calloc((size_t)(n * steps), sizeof *prev);
        for (int i = 0; sample && model_out && i < steps; i++) {
            kn_scheduler_step(s, i, sample, model_out + i * n);
            memcpy(prev + i * n, sample, (size_t)n * sizeof *prev);
        }
        snprintf(name, sizeof name, "%s.prev", id);
        parity_check(p, name, prev, n * steps, 1e-4);
        free(prev);
    }
    kn_scheduler_free(s);
    free(sample);
    free(model_out);
    json_decref(config);
}

void parity_schedulers(parity *p)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(p->fixture, "cases"), i, c) check_case(p, c);
}

/* ---- random numbers ---- */

void parity_rng(parity *p)
{
    kn_rng rng, seq;
    unsigned long long seq_seed = ~0ull;
    for (int draw = 0; draw < 2; draw++)
        for (int i = 0; i < kn_checkpoint_count(p->golden); i++) {
            const kn_entry *e = kn_checkpoint_at(p->golden, i);
            int64_t n = kn_entry_numel(e);
            unsigned long long seed;
            long long count;
            float *out = kn_calloc((size_t)n, sizeof *out);
            if (draw == 0 && sscanf(e->name, "randn.seed%llu.n%lld", &seed, &count) == 2) {
                kn_rng_seed(&rng, seed);
                kn_rng_normal(&rng, out, n);
                parity_check(p, e->name, out, n, 0);
            } else if (draw == 0 && sscanf(e->name, "latents.seed%llu", &seed) == 1) {
                kn_rng_seed(&rng, seed);
                kn_rng_normal(&rng, out, n);
                parity_check(p, e->name, out, n, 0);
            } else if (draw == 0 && sscanf(e->name, "rand.seed%llu", &seed) == 1) {
                kn_rng_seed(&rng, seed);
                kn_rng_uniform(&rng, out, n);
                parity_check(p, e->name, out, n, 0);
            } else if (draw == 1 && sscanf(e->name, "seq.seed%llu.draw0.n%lld", &seed, &count) == 2) {
                /* draws in a row from one generator */
                seq_seed = seed;
                kn_rng_seed(&seq, seq_seed);
                kn_rng_normal(&seq, out, n);
                parity_check(p, e->name, out, n, 0);
                for (int k = 1; k < 16; k++)
                    for (int j = 0; j < kn_checkpoint_count(p->golden); j++) {
                        const kn_entry *d = kn_checkpoint_at(p->golden, j);
                        char prefix[64];
                        snprintf(prefix, sizeof prefix, "seq.seed%llu.draw%d.n", seq_seed, k);
                        if (strncmp(d->name, prefix, strlen(prefix)) != 0)
                            continue;
                        int64_t m = kn_entry_numel(d);
                        float *next = kn_calloc((size_t)m, sizeof *next);
                        kn_rng_normal(&seq, next, m);
                        parity_check(p, d->name, next, m, 0);
                        free(next);
                    }
            }
            free(out);
        }
}
