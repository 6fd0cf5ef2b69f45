/* Finding and opening the parts of a Wan model. */
#include "models/wan/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "models/wan/names.h"

/* ---- components of a diffusers folder ---- */

static int load_config(const char *dir, const char *part, const char *file, json_t **ret, char *origin,
                       size_t size, kn_err *err)
{
    char *folder = kn_path_join(dir, part), *path = folder ? kn_path_join(folder, file) : NULL;
    int rc = path ? kn_json_load(path, ret, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    snprintf(origin, size, "%s/%s", part, file);
    free(folder);
    free(path);
    return rc;
}

static int open_part(const char *dir, const char *part, kn_checkpoint **ret, kn_err *err)
{
    char *path = kn_path_join(dir, part);
    int rc =
        path ? kn_checkpoint_open(path, NULL, ret, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(path);
    return rc;
}

/* True if model_index.json names a class for the part (["library", "Class"], not [null, null]). */
static bool index_has(const json_t *index, const char *part)
{
    return json_is_string(json_array_get(json_object_get(index, part), 1));
}

static int read_transformer(kn_wan_model *m, const char *dir, const char *part, int expert, kn_err *err)
{
    json_t *config = NULL;
    char origin[96];
    int rc = load_config(dir, part, "config.json", &config, origin, sizeof origin, err);
    if (!rc)
        rc = kn_wan_config_read(config, origin, &m->dit[expert], err);
    json_decref(config);
    return rc;
}

static int read_vae(kn_wan_model *m, const char *dir, kn_err *err)
{
    json_t *config = NULL;
    char origin[96];
    int rc = load_config(dir, "vae", "config.json", &config, origin, sizeof origin, err);
    if (!rc)
        rc = kn_wan_vae_config_read(config, origin, &m->vae, err);
    json_decref(config);
    return rc;
}

static int read_text(kn_wan_model *m, const char *dir, kn_err *err)
{
    json_t *config = NULL;
    char origin[96];
    int rc = load_config(dir, "text_encoder", "config.json", &config, origin, sizeof origin, err);
    if (!rc)
        rc = kn_t5_config_read(config, origin, &m->text, err);
    json_decref(config);
    return rc;
}

static int open_tokenizer(kn_wan_model *m, const char *dir, kn_err *err)
{
    char *path = kn_path_join(dir, "tokenizer");
    int rc =
        path ? kn_tokenizer_open(path, &m->tokenizer, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(path);
    return rc;
}

static int read_scheduler(kn_wan_model *m, const char *dir, kn_err *err)
{
    json_t *config = NULL;
    char origin[96];
    int rc = load_config(dir, "scheduler", "scheduler_config.json", &config, origin, sizeof origin, err);
    if (!rc)
        rc = kn_scheduler_config_read(config, origin, &m->scheduler, err);
    /* `name` is static text of the scheduler class, not of the JSON */
    json_decref(config);
    return rc;
}

static int open_clip(kn_wan_model *m, const char *dir, kn_err *err)
{
    json_t *config = NULL, *processor = NULL;
    char origin[96];
    int rc = load_config(dir, "image_encoder", "config.json", &config, origin, sizeof origin, err);
    if (!rc)
        rc = kn_clip_vision_config_read(config, origin, &m->clip, err);
    if (!rc)
        rc = load_config(dir, "image_processor", "preprocessor_config.json", &processor, origin,
                         sizeof origin, err);
    if (!rc)
        rc = kn_wan_clip_pixels_read(processor, origin, &m->clip_pixels, err);
    if (!rc)
        rc = open_part(dir, "image_encoder", &m->clip_ck, err);
    m->has_clip = !rc;
    json_decref(config);
    json_decref(processor);
    return rc;
}

/* Configurations and tokenizer of a folder; weights are opened by the callers. */
static int read_folder(kn_wan_model *m, const char *dir, const json_t *index, kn_err *err)
{
    kn_json_reader r;
    kn_json_reader_init(&r, index, "model_index.json");
    m->boundary_ratio = kn_json_has(&r, "boundary_ratio") ? kn_json_real(&r, "boundary_ratio", 0, 0, 1) : -1;
    m->expand_timesteps = kn_json_bool(&r, "expand_timesteps", false);
    if (r.err.code)
        return kn_fail(err, r.err.code, "%s", r.err.msg);
    int rc = read_transformer(m, dir, "transformer", KN_WAN_HIGH, err);
    if (!rc && index_has(index, "transformer_2"))
        rc = read_transformer(m, dir, "transformer_2", KN_WAN_LOW, err);
    if (!rc)
        rc = read_vae(m, dir, err);
    if (!rc)
        rc = read_text(m, dir, err);
    if (!rc)
        rc = open_tokenizer(m, dir, err);
    if (!rc)
        rc = read_scheduler(m, dir, err);
    return rc;
}

/* ---- overrides and single files ---- */

static int open_transformer_file(kn_wan_model *m, const char *path, int expert, bool config_known,
                                 kn_err *err)
{
    int rc = kn_checkpoint_open(path, NULL, &m->dit_ck[expert], err);
    if (!rc)
        rc = kn_wan_rename_transformer(m->dit_ck[expert], err);
    if (!rc && !config_known)
        rc = kn_wan_config_derive(m->dit_ck[expert], 0, &m->dit[expert], err);
    return rc;
}

static int open_vae_file(kn_wan_model *m, const char *path, bool config_known, kn_err *err)
{
    kn_checkpoint_close(m->vae_ck);
    m->vae_ck = NULL;
    int rc = kn_checkpoint_open(path, NULL, &m->vae_ck, err);
    if (!rc)
        rc = kn_wan_rename_vae(m->vae_ck, err);
    if (!rc && !config_known)
        rc = kn_wan_vae_config_derive(m->vae_ck, &m->vae, err);
    return rc;
}

static int open_text_file(kn_wan_model *m, const char *path, bool config_known, kn_err *err)
{
    kn_checkpoint_close(m->text_ck);
    m->text_ck = NULL;
    int rc = kn_checkpoint_open(path, NULL, &m->text_ck, err);
    if (!rc)
        rc = kn_t5_rename(m->text_ck, err);
    if (!rc && !config_known)
        rc = kn_t5_config_derive(m->text_ck, &m->text, err);
    const kn_entry *piece = rc ? NULL : kn_checkpoint_find(m->text_ck, "spiece_model");
    if (!rc && !m->tokenizer && piece) /* ComfyUI's files carry the tokenizer */
        rc = kn_tokenizer_open_memory(piece->data, piece->bytes, path, &m->tokenizer, err);
    return rc;
}

static int open_loras(kn_wan_model *m, const kn_loras *loras, kn_err *err)
{
    for (int e = 0; e < KN_WAN_EXPERTS; e++) {
        kn_expert skip = e == KN_WAN_HIGH ? KN_EXPERT_LOW : KN_EXPERT_HIGH;
        for (int i = 0; i < loras->n && m->dit_ck[e]; i++) {
            const kn_lora_ref *l = &loras->items[i];
            if (l->expert == skip)
                continue;
            int rc = m->loras[e] ? 0 : kn_lora_set_new(&m->loras[e], err);
            if (!rc)
                rc = kn_lora_set_add(m->loras[e], l->path, l->strength, m->dit_ck[e], &kn_wan_names, err);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int open_folder(kn_wan_model *m, const kn_request *rq, kn_err *err)
{
    json_t *index = NULL;
    char *path = kn_path_join(rq->model, "model_index.json");
    int rc = path ? kn_json_load(path, &index, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
    free(path);
    if (!rc)
        rc = read_folder(m, rq->model, index, err);
    if (!rc)
        rc = open_part(rq->model, "transformer", &m->dit_ck[KN_WAN_HIGH], err);
    if (!rc && index_has(index, "transformer_2"))
        rc = open_part(rq->model, "transformer_2", &m->dit_ck[KN_WAN_LOW], err);
    if (!rc && !rq->vae)
        rc = open_part(rq->model, "vae", &m->vae_ck, err);
    if (!rc && !rq->text_encoder)
        rc = open_part(rq->model, "text_encoder", &m->text_ck, err);
    if (!rc && index_has(index, "image_encoder"))
        rc = open_clip(m, rq->model, err);
    if (!rc && rq->vae)
        rc = open_vae_file(m, rq->vae, true, err);
    if (!rc && rq->text_encoder)
        rc = open_text_file(m, rq->text_encoder, true, err);
    json_decref(index);
    return rc;
}

/* Settings the published repositories have, for single files that carry none. */
static void published_settings(kn_wan_model *m)
{
    kn_scheduler_config_default(&m->scheduler);
    m->boundary_ratio = -1;
    m->expand_timesteps = m->vae.z_dim == 48; /* Wan 2.2 TI2V is the one published model with the 2.2 VAE */
    if (m->expand_timesteps)
        m->scheduler.flow_shift = 5.0;
    if (m->dit_ck[KN_WAN_LOW])
        m->boundary_ratio = m->dit[KN_WAN_HIGH].in_channels > m->dit[KN_WAN_HIGH].out_channels ? 0.9 : 0.875;
}

static int open_file(kn_wan_model *m, const kn_request *rq, kn_err *err)
{
    json_t *index = NULL;
    int rc = 0;
    if (!rq->vae || !rq->text_encoder)
        return kn_fail(err, KN_EINVAL,
                       "%.200s is a transformer alone; say also --vae FILE and --text-encoder FILE",
                       rq->model);
    if (rq->config) {
        char *path = kn_path_join(rq->config, "model_index.json");
        rc = path ? kn_json_load(path, &index, err) : kn_fail(err, KN_ENOMEM, "no memory for a path");
        free(path);
        if (!rc)
            rc = read_folder(m, rq->config, index, err);
    }
    bool known = rq->config != NULL;
    if (!rc)
        rc = open_transformer_file(m, rq->model, KN_WAN_HIGH, known, err);
    if (!rc && rq->transformer_2)
        rc = open_transformer_file(m, rq->transformer_2, KN_WAN_LOW,
                                   known && index_has(index, "transformer_2"), err);
    if (!rc)
        rc = open_vae_file(m, rq->vae, known, err);
    if (!rc)
        rc = open_text_file(m, rq->text_encoder, known, err);
    if (!rc && !m->tokenizer)
        rc = kn_fail(err, KN_EINVAL,
                     "%.200s carries no tokenizer; say --config DIR, a diffusers folder of this model",
                     rq->text_encoder);
    if (!rc && known && index_has(index, "image_encoder"))
        rc = open_clip(m, rq->config, err);
    if (!rc && !known)
        published_settings(m);
    json_decref(index);
    return rc;
}

/* The parts must fit each other. */
static int check_parts(const kn_wan_model *m, kn_err *err)
{
    const kn_wan_config *d = &m->dit[KN_WAN_HIGH];
    if (d->out_channels != m->vae.z_dim)
        return kn_fail(err, KN_EFORMAT,
                       "the transformer makes %lld latent channels and the VAE reads %d; they do not belong "
                       "together",
                       (long long)d->out_channels, m->vae.z_dim);
    if (d->text_dim != m->text.d_model)
        return kn_fail(err, KN_EFORMAT,
                       "the transformer reads text states of %lld and the text encoder makes %lld",
                       (long long)d->text_dim, (long long)m->text.d_model);
    if (d->image_dim && !m->has_clip)
        return kn_fail(err, KN_EINVAL,
                       "this transformer needs an image encoder (image_encoder/), which is missing; for a "
                       "single file say --config DIR");
    if (m->dit_ck[KN_WAN_LOW] && m->boundary_ratio < 0)
        return kn_fail(err, KN_EFORMAT, "model_index.json has transformer_2 and no boundary_ratio");
    return 0;
}

int kn_wan_model_open(const kn_request *rq, kn_wan_model **ret, kn_err *err)
{
    kn_wan_model *m = kn_calloc(1, sizeof *m);
    if (!m)
        return kn_fail(err, KN_ENOMEM, "no memory for a model");
    m->path = kn_strdup(rq->model);
    int rc = kn_path_is_dir(rq->model) ? open_folder(m, rq, err) : open_file(m, rq, err);
    if (!rc)
        rc = check_parts(m, err);
    if (!rc)
        rc = open_loras(m, &rq->loras, err);
    if (rc)
        kn_wan_model_close(m);
    else
        *ret = m;
    return rc;
}

void kn_wan_model_close(kn_wan_model *m)
{
    if (!m)
        return;
    for (int i = 0; i < KN_WAN_EXPERTS; i++) {
        kn_checkpoint_close(m->dit_ck[i]);
        kn_lora_set_free(m->loras[i]);
    }
    kn_checkpoint_close(m->vae_ck);
    kn_checkpoint_close(m->text_ck);
    kn_checkpoint_close(m->clip_ck);
    kn_tokenizer_close(m->tokenizer);
    free(m->path);
    free(m);
}

/* ---- what it is ---- */

static int probe_folder(const char *path)
{
    json_t *index = NULL;
    char *file = kn_path_join(path, "model_index.json");
    int rc = file ? kn_json_load(file, &index, NULL) : -1;
    free(file);
    const char *cls = rc ? NULL : json_string_value(json_object_get(index, "_class_name"));
    int score = cls && strncmp(cls, "Wan", 3) == 0 ? 100 : 0;
    json_decref(index);
    return score;
}

static int probe_file(const char *path)
{
    kn_checkpoint *ck = NULL;
    if (kn_checkpoint_open(path, NULL, &ck, NULL))
        return 0;
    int score = 0;
    if (!kn_wan_rename_transformer(ck, NULL) && kn_checkpoint_find(ck, "blocks.0.attn1.to_q.weight") &&
        kn_checkpoint_find(ck, "condition_embedder.time_proj.weight"))
        score = 90;
    kn_checkpoint_close(ck);
    return score;
}

int kn_wan_model_probe(const char *path)
{
    return kn_path_is_dir(path) ? probe_folder(path) : probe_file(path);
}

bool kn_wan_is_vace(const kn_wan_model *m)
{
    return m->dit[KN_WAN_HIGH].n_vace > 0;
}

bool kn_wan_takes_image(const kn_wan_model *m)
{
    const kn_wan_config *d = &m->dit[KN_WAN_HIGH];
    return m->expand_timesteps || d->in_channels > d->out_channels;
}

unsigned kn_wan_tasks(const kn_wan_model *m)
{
    const kn_wan_config *d = &m->dit[KN_WAN_HIGH];
    if (kn_wan_is_vace(m))
        return KN_TASK_T2V | KN_TASK_V2V;
    if (m->expand_timesteps)
        return KN_TASK_T2V | KN_TASK_I2V;
    if (d->in_channels == d->out_channels)
        return KN_TASK_T2V;
    if (d->image_dim) /* CLIP's states of two pictures need positions for both, and a model with those needs both */
        return d->n_pos_embed ? KN_TASK_FLF2V : KN_TASK_I2V;
    return KN_TASK_I2V | KN_TASK_FLF2V;
}

const char *kn_wan_variant(const kn_wan_model *m)
{
    const kn_wan_config *d = &m->dit[KN_WAN_HIGH];
    bool image = d->in_channels > d->out_channels;
    if (kn_wan_is_vace(m))
        return "VACE";
    if (m->expand_timesteps)
        return "TI2V";
    if (m->dit_ck[KN_WAN_LOW])
        return image ? "I2V, two experts" : "T2V, two experts";
    return !image ? "T2V" : d->n_pos_embed ? "FLF2V" : "I2V";
}
