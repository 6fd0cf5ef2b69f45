/* parity FIXTURE_DIR [--dtype f32|bf16|int8] [--device NAME] */
#include "parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

double parity_tolerance(const parity *p)
{
    return p->dtype == KN_F32 ? 1e-4 : p->dtype == KN_BF16 ? 3e-2 : 1.5e-1;
}

/* A pipeline runs several modules over several steps with guidance, which multiplies what each is off. */
double parity_pipeline_tolerance(const parity *p)
{
    return p->dtype == KN_F32 ? 1e-4 : 10 * parity_tolerance(p);
}

static int index_of(const parity *p, const char *name)
{
    for (int i = 0; i < kn_checkpoint_count(p->golden); i++)
        if (strcmp(kn_checkpoint_at(p->golden, i)->name, name) == 0)
            return i;
    return -1;
}

bool parity_has(const parity *p, const char *name)
{
    return index_of(p, name) >= 0;
}

void parity_mark(parity *p, const char *name)
{
    int i = index_of(p, name);
    if (i >= 0)
        p->seen[i] = true;
}

static float *decode(const kn_entry *e)
{
    float *data = kn_calloc((size_t)kn_entry_numel(e) + 1, sizeof *data);
    if (data && kn_entry_to_f32(e, data, NULL)) {
        free(data);
        data = NULL;
    }
    return data;
}

float *parity_input(parity *p, const char *name, const kn_entry **ret_entry)
{
    int i = index_of(p, name);
    if (i < 0)
        return NULL;
    p->seen[i] = true;
    if (ret_entry)
        *ret_entry = kn_checkpoint_at(p->golden, i);
    return decode(kn_checkpoint_at(p->golden, i));
}

void parity_result(parity *p, const char *name, bool ok, const char *detail)
{
    printf("%-36s %s%s\n", name, detail, ok ? "" : "  FAIL");
    if (ok)
        p->passed++;
    else
        p->failed++;
}

bool parity_check(parity *p, const char *name, const float *data, int64_t n, double tolerance)
{
    int i = index_of(p, name);
    if (i < 0)
        return false;
    p->seen[i] = true;
    const kn_entry *e = kn_checkpoint_at(p->golden, i);
    char detail[128];
    if (kn_entry_numel(e) != n) {
        snprintf(detail, sizeof detail, "has %lld values, expected %lld", (long long)n,
                 (long long)kn_entry_numel(e));
        parity_result(p, name, false, detail);
        return true;
    }
    float *want = decode(e);
    double diff = 0, norm = 0, max = 0;
    for (int64_t k = 0; want && k < n; k++) {
        double d = (double)data[k] - want[k];
        diff += d * d;
        norm += (double)want[k] * want[k];
        max = fabs(d) > max || isnan(d) ? fabs(d) : max;
    }
    double rel = sqrt(diff) / (norm > 0 ? sqrt(norm) : 1);
    snprintf(detail, sizeof detail, "rel %.2e  max %.2e", rel, max);
    parity_result(p, name, want && rel <= tolerance, detail);
    free(want);
    return true;
}

void parity_check_tensor(parity *p, kn_ctx *c, const char *name, kn_tensor t, double tolerance)
{
    if (kn_is_null(t) || !parity_has(p, name))
        return;
    float *host = kn_calloc((size_t)kn_numel(t), sizeof *host);
    if (host) {
        kn_to_f32(c, t, host);
        parity_check(p, name, host, kn_numel(t), tolerance);
    }
    free(host);
}

kn_tensor parity_channels_last(kn_ctx *c, const float *data, const int64_t *d)
{
    kn_tensor x = kn_from_f32(c, KN_F32, KN_DIMS(d[1], d[2], d[3], d[4]), data);
    return kn_permute(c, x, (const int[]){1, 2, 3, 0});
}

void parity_check_channels_first(parity *p, kn_ctx *c, const char *name, kn_tensor t, double tolerance)
{
    if (kn_is_null(t) || !parity_has(p, name))
        return;
    kn_scope s = kn_scope_open(c);
    parity_check_tensor(p, c, name, kn_permute(c, kn_cast(c, t, KN_F32), (const int[]){3, 0, 1, 2}),
                        tolerance);
    kn_scope_close(c, s, (kn_tensor){0});
}

void parity_error(parity *p, const char *what, const kn_err *err)
{
    char detail[600];
    snprintf(detail, sizeof detail, "cannot run: %s", err->msg);
    parity_result(p, what, false, detail);
}

char *parity_path(const parity *p, const char *relative)
{
    return kn_path_join(p->dir, relative);
}

char *parity_model_dir(const parity *p)
{
    const char *named = json_string_value(json_object_get(p->fixture, "model"));
    if (!named)
        named = json_string_value(json_object_get(p->fixture, "configs"));
    return parity_path(p, named ? named : "model");
}

json_t *parity_json(const parity *p, const char *path, kn_err *err)
{
    (void)p;
    json_t *j = NULL;
    return kn_json_load(path, &j, err) ? NULL : j;
}

int component_open(parity *p, component *k, const char *path, const kn_lora_set *lora, kn_err *err)
{
    *k = (component){0};
    int rc = kn_checkpoint_open(path, NULL, &k->ck, err);
    if (!rc)
        rc = kn_ctx_init(&k->ctx, p->dev, p->act, 0, err);
    if (rc) {
        kn_checkpoint_close(k->ck);
        k->ck = NULL;
        return rc;
    }
    kn_weight_set_init(&k->set, p->dev);
    kn_loader_init(&k->loader, &k->set, k->ck, lora, p->dtype);
    return 0;
}

void component_close(component *k)
{
    if (!k->ck)
        return;
    kn_weight_set_done(&k->set);
    kn_ctx_done(&k->ctx);
    kn_checkpoint_close(k->ck);
}

static void report_unseen(parity *p)
{
    for (int i = 0; i < kn_checkpoint_count(p->golden); i++)
        if (!p->seen[i])
            parity_result(p, kn_checkpoint_at(p->golden, i)->name, false, "not compared");
}

static void run_all(parity *p)
{
    const char *family = json_string_value(json_object_get(p->fixture, "family"));
    const char *task = json_string_value(json_object_get(p->fixture, "task"));
    family = family ? family : "";
    task = task ? task : "";
    parity_tokens(p);
    if (strcmp(family, "rng") == 0)
        parity_rng(p);
    else if (strcmp(family, "umt5") == 0)
        parity_text_encoder(p);
    else if (strcmp(task, "scheduler") == 0)
        parity_schedulers(p);
    else if (strcmp(task, "lora") == 0)
        parity_lora(p);
    else if (strcmp(task, "original-names") == 0)
        parity_single_files(p);
    else if (strcmp(family, "wan") == 0) {
        parity_text(p);
        parity_clip(p);
        parity_transformers(p);
        parity_vae(p, NULL, NULL);
        parity_pipelines(p);
    } else {
        parity_result(p, family, false, "is a family this tool does not know");
    }
    report_unseen(p);
}

int main(int argc, char **argv)
{
    parity p = {.dtype = KN_F32};
    const char *device = "cpu";
    kn_err err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dtype") == 0 && i + 1 < argc) {
            if (kn_dtype_from_name(argv[++i], &p.dtype)) {
                fprintf(stderr, "parity: unknown dtype %s\n", argv[i]);
                return 2;
            }
        } else if (strcmp(argv[i], "--device") == 0 && i + 1 < argc) {
            device = argv[++i];
        } else {
            p.dir = argv[i];
        }
    }
    if (!p.dir) {
        fprintf(stderr, "usage: parity FIXTURE_DIR [--dtype f32|bf16|int8] [--device NAME]\n");
        return 2;
    }
    p.act = p.dtype == KN_F32 ? KN_F32 : KN_BF16;
    char *golden = parity_path(&p, "golden.safetensors"), *fixture = parity_path(&p, "fixture.json");
    int rc = kn_device_open(device, NULL, &p.dev, &err);
    if (!rc)
        rc = kn_checkpoint_open(golden, NULL, &p.golden, &err);
    if (!rc)
        rc = kn_json_load(fixture, &p.fixture, &err);
    free(golden);
    free(fixture);
    if (rc) {
        fprintf(stderr, "parity: %s\n", err.msg);
        return 2;
    }
    p.seen = kn_calloc((size_t)kn_checkpoint_count(p.golden), sizeof *p.seen);
    run_all(&p);
    printf("%d passed, %d failed\n", p.passed, p.failed);
    free(p.seen);
    json_decref(p.fixture);
    kn_checkpoint_close(p.golden);
    kn_device_close(p.dev);
    return p.failed ? 1 : 0;
}
