/* The descriptor of the Wan family. */
#include "models/wan/pipeline.h"

static int open_model(const kn_request *rq, void **ret, kn_err *err)
{
    kn_wan_model *m = NULL;
    int rc = kn_wan_model_open(rq, &m, err);
    if (!rc)
        *ret = m;
    return rc;
}

static int open_random(const char *config, bool with_text, void **ret, kn_err *err)
{
    kn_wan_model *m = NULL;
    int rc = kn_wan_model_open_random(config, with_text, &m, err);
    if (!rc)
        *ret = m;
    return rc;
}

static int prepare(void *model, kn_request *rq, void (*note)(void *, const char *), void *ud, kn_err *err)
{
    return kn_wan_prepare(model, rq, note, ud, err);
}

static int generate(void *model, kn_run *r, kn_err *err)
{
    return kn_wan_generate(model, r, err);
}

static void describe(void *model, json_t *obj)
{
    const kn_wan_model *m = model;
    const kn_wan_config *d = &m->dit[KN_WAN_HIGH];
    json_object_set_new(obj, "tasks", kn_tasks_to_json(kn_wan_tasks(m)));
    json_object_set_new(obj, "variant", json_string(kn_wan_variant(m)));
    json_object_set_new(obj, "scheduler", json_string(m->scheduler.name));
    json_object_set_new(obj, "flow_shift", json_real(m->scheduler.flow_shift));
    json_object_set_new(obj, "transformer",
                        json_pack("{s:i, s:I, s:i, s:I, s:I, s:i}", "layers", d->n_layers, "dim",
                                  (json_int_t)d->dim, "heads", d->n_heads, "ffn_dim", (json_int_t)d->ffn_dim,
                                  "bytes", (json_int_t)kn_checkpoint_bytes(m->dit_ck[KN_WAN_HIGH]), "experts",
                                  m->dit_ck[KN_WAN_LOW] ? 2 : 1));
    json_object_set_new(obj, "vae",
                        json_pack("{s:i, s:i, s:i, s:I}", "latent_channels", m->vae.z_dim, "scale_spatial",
                                  m->vae.scale_spatial, "scale_temporal", m->vae.scale_temporal, "bytes",
                                  (json_int_t)kn_checkpoint_bytes(m->vae_ck)));
    json_object_set_new(obj, "text_encoder",
                        json_pack("{s:i, s:I, s:I}", "layers", m->text.n_layers, "dim",
                                  (json_int_t)m->text.d_model, "bytes",
                                  (json_int_t)kn_checkpoint_bytes(m->text_ck)));
}

static void close_model(void *model)
{
    kn_wan_model_close(model);
}

static const kn_model_param params[] = {
    {"model", NULL},
    {"prompt", NULL},
    {"negative_prompt", "\"\""},
    {"segment_prompt", "the prompt"},
    {"image", NULL},
    {"last_image", NULL},
    {"video", NULL},
    {"mask", NULL},
    {"reference", NULL},
    {"control_scale", "1"},
    {"width", "832 (TI2V: 1280)"},
    {"height", "480 (TI2V: 704)"},
    {"frames", "81 (TI2V: 121)"},
    {"segment_frames", "as frames"},
    {"overlap", "1"},
    {"segment_tail", "0"},
    {"colour_match", "on"},
    {"context_frames", "as frames, of T2V"},
    {"context_overlap", "half a window"},
    {"fps", "16 (TI2V: 24)"},
    {"steps", "50 (two experts: 40)"},
    {"guidance", "5 (two experts: 4, with a picture 3.5)"},
    {"guidance_2", "as guidance (T2V with two experts: 3)"},
    {"guidance_method", "cfg"},
    {"skip_layers", "none"},
    {"skip_begin", "0.1"},
    {"skip_end", "0.9"},
    {"flow_shift", "the model's"},
    {"boundary", "the model's"},
    {"scheduler", "the model's"},
    {"speed", "1x: every step is computed"},
    {"cache", "auto"},
    {"seed", "random"},
    {"max_sequence_length", "512"},
    {"dtype", "bf16 where the processor has it, else f32"},
    {"device", "auto"},
    {"threads", "all cores"},
    {"pin", "off"},
    {"vae_tile", "0 if whole pictures fit, else 256 or 128"},
    {"resident_blocks", "as many as fit"},
    {"memory_budget", "what is free"},
    {"lora", NULL},
    {"vae", NULL},
    {"text_encoder", NULL},
    {"transformer_2", NULL},
    {"config", NULL},
    {"latents", NULL},
    {"save_tensors", NULL},
    {"output", NULL},
    {"format", "mp4"},
    {"allow_software_video_fallback", "on"},
    {0},
};

extern const kn_model_desc kn_model_wan;
const kn_model_desc kn_model_wan = {
    .name = "wan",
    .title = "Wan 2.1 and 2.2",
    .tasks = KN_TASK_T2V | KN_TASK_I2V | KN_TASK_FLF2V | KN_TASK_V2V,
    .params = params,
    .probe = kn_wan_model_probe,
    .open = open_model,
    .prepare = prepare,
    .generate = generate,
    .open_random = open_random,
    .random_configs = kn_wan_random_configs,
    .describe = describe,
    .close = close_model,
};
