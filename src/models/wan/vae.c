/* Configuration and weights of the VAE. */
#include "models/wan/vae.h"

#include <stdio.h>
#include <string.h>

const char *const kn_wan_vae_ignore_encoder[] = {"encoder.", "quant_conv.", NULL};
const char *const kn_wan_vae_ignore_decoder[] = {"decoder.", "post_quant_conv.", NULL};

/* Published latent statistics: Wan2.1 and Wan2.2 vae/config.json. */
static const float mean_16[16] = {-0.7571f, -0.7089f, -0.9113f, 0.1075f,  -0.1745f, 0.9653f,
                                  -0.1517f, 1.5508f,  0.4134f,  -0.0715f, 0.5517f,  -0.3632f,
                                  -0.1922f, -0.9497f, 0.2503f,  -0.2921f};
static const float std_16[16] = {2.8184f, 1.4541f, 2.3275f, 2.6558f, 1.2196f, 1.7708f, 2.6052f, 2.0743f,
                                 3.2687f, 2.1526f, 2.8652f, 1.5579f, 1.6382f, 1.1253f, 2.8251f, 1.9160f};
static const float mean_48[48] = {
    -0.2289f, -0.0052f, -0.1323f, -0.2339f, -0.2799f, 0.0174f,  0.1838f,  0.1557f,  -0.1382f, 0.0542f,
    0.2813f,  0.0891f,  0.1570f,  -0.0098f, 0.0375f,  -0.1825f, -0.2246f, -0.1207f, -0.0698f, 0.5109f,
    0.2665f,  -0.2108f, -0.2158f, 0.2502f,  -0.2055f, -0.0322f, 0.1109f,  0.1567f,  -0.0729f, 0.0899f,
    -0.2799f, -0.1230f, -0.0313f, -0.1649f, 0.0117f,  0.0723f,  -0.2839f, -0.2083f, -0.0520f, 0.3748f,
    0.0152f,  0.1957f,  0.1433f,  -0.2944f, 0.3573f,  -0.0548f, -0.1681f, -0.0667f};
static const float std_48[48] = {0.4765f, 1.0364f, 0.4514f, 1.1677f, 0.5313f, 0.4990f, 0.4818f, 0.5013f,
                                 0.8158f, 1.0344f, 0.5894f, 1.0901f, 0.6885f, 0.6165f, 0.8454f, 0.4978f,
                                 0.5759f, 0.3523f, 0.7135f, 0.6804f, 0.5833f, 1.4146f, 0.8986f, 0.5659f,
                                 0.7069f, 0.5338f, 0.4889f, 0.4917f, 0.4069f, 0.4999f, 0.6866f, 0.4093f,
                                 0.5709f, 0.6065f, 0.6415f, 0.4944f, 0.5726f, 1.2042f, 0.5458f, 1.6887f,
                                 0.3971f, 1.0600f, 0.3943f, 0.5537f, 0.5444f, 0.4089f, 0.7468f, 0.7744f};

/* What follows from the rest. */
static int complete(kn_wan_vae_config *f, const char *origin, kn_err *err)
{
    f->scale_temporal = 1;
    for (int i = 0; i + 1 < f->n_levels; i++)
        f->scale_temporal *= f->temporal_downsample[i] ? 2 : 1;
    f->scale_spatial = (1 << (f->n_levels - 1)) * f->patch_size;
    if (f->n_levels < 2 || f->scale_temporal > 64)
        return kn_fail(err, KN_EFORMAT, "%s: %d levels, expected 2 to %d", origin, f->n_levels,
                       KN_WAN_VAE_MAX_LEVELS);
    for (int i = 0; i < f->n_levels; i++) {
        int ch = f->decoder_base_dim * f->dim_mult[i];
        if (!f->residual && i + 1 < f->n_levels && ch > f->decoder_base_dim && ch % 2)
            return kn_fail(err, KN_EFORMAT, "%s: %d channels at level %d cannot be halved", origin, ch, i);
    }
    return 0;
}

static int read_statistics(const json_t *obj, const char *key, float *out, int z_dim, const char *origin,
                           kn_err *err)
{
    double values[KN_WAN_VAE_MAX_Z];
    kn_json_reader r;
    kn_json_reader_init(&r, obj, origin);
    int n = kn_json_reals(&r, key, values, KN_WAN_VAE_MAX_Z);
    if (r.err.code)
        return kn_fail(err, r.err.code, "%s", r.err.msg);
    if (n != z_dim)
        return kn_fail(err, KN_EFORMAT, "%s: %s has %d values, expected z_dim = %d", origin, key, n, z_dim);
    for (int i = 0; i < n; i++)
        out[i] = (float)values[i];
    return 0;
}

int kn_wan_vae_config_read(const json_t *obj, const char *origin, kn_wan_vae_config *ret, kn_err *err)
{
    kn_wan_vae_config f = {0};
    int64_t mult[KN_WAN_VAE_MAX_LEVELS];
    kn_json_reader r;
    kn_json_reader_init(&r, obj, origin);
    f.base_dim = (int)kn_json_int(&r, "base_dim", 96, 1, 4096);
    f.decoder_base_dim = (int)kn_json_int(&r, "decoder_base_dim", f.base_dim, 1, 4096);
    f.z_dim = (int)kn_json_int(&r, "z_dim", 16, 1, KN_WAN_VAE_MAX_Z);
    f.n_levels = kn_json_ints(&r, "dim_mult", mult, KN_WAN_VAE_MAX_LEVELS, 1, 64);
    for (int i = 0; i < f.n_levels; i++)
        f.dim_mult[i] = (int)mult[i];
    f.n_res_blocks = (int)kn_json_int(&r, "num_res_blocks", 2, 1, KN_WAN_VAE_MAX_RES - 1);
    int n_temporal = kn_json_bools(&r, "temperal_downsample", f.temporal_downsample, KN_WAN_VAE_MAX_LEVELS);
    f.residual = kn_json_bool(&r, "is_residual", false);
    f.patch_size = (int)kn_json_int(&r, "patch_size", 1, 1, 4);
    double scales[8];
    int n_attention = kn_json_reals(&r, "attn_scales", scales, 8);
    if (r.err.code)
        return kn_fail(err, r.err.code, "%s", r.err.msg);
    if (n_attention)
        return kn_fail(err, KN_EUNSUPPORTED, "%s: attn_scales with %d entries; only [] is supported", origin,
                       n_attention);
    if (n_temporal != f.n_levels - 1)
        return kn_fail(err, KN_EFORMAT,
                       "%s: temperal_downsample has %d entries, expected one less than dim_mult's %d", origin,
                       n_temporal, f.n_levels);
    int rc = read_statistics(obj, "latents_mean", f.latents_mean, f.z_dim, origin, err);
    if (!rc)
        rc = read_statistics(obj, "latents_std", f.latents_std, f.z_dim, origin, err);
    if (!rc)
        rc = complete(&f, origin, err);
    if (!rc)
        *ret = f;
    return rc;
}

static int64_t dim_of(kn_checkpoint *ck, int i, const char *fmt, int a, int b)
{
    char name[128];
    snprintf(name, sizeof name, fmt, a, b);
    const kn_entry *e = kn_checkpoint_find(ck, name);
    return e && e->n_dims > i ? e->dims[i] : 0;
}

int kn_wan_vae_config_derive(kn_checkpoint *ck, kn_wan_vae_config *ret, kn_err *err)
{
    kn_wan_vae_config f = {0};
    const char *origin = kn_checkpoint_path(ck);
    f.base_dim = (int)dim_of(ck, 0, "encoder.conv_in.weight", 0, 0);
    f.decoder_base_dim = (int)dim_of(ck, 1, "decoder.conv_out.weight", 0, 0);
    f.z_dim = (int)dim_of(ck, 0, "post_quant_conv.weight", 0, 0);
    f.patch_size = dim_of(ck, 0, "decoder.conv_out.weight", 0, 0) == 12 ? 2 : 1;
    f.residual = dim_of(ck, 0, "decoder.up_blocks.0.upsampler.resample.1.weight", 0, 0) > 0;
    while (f.n_levels < KN_WAN_VAE_MAX_LEVELS &&
           dim_of(ck, 0, "decoder.up_blocks.%d.resnets.0.conv1.weight", f.n_levels, 0))
        f.n_levels++;
    while (f.n_res_blocks < KN_WAN_VAE_MAX_RES &&
           dim_of(ck, 0, "decoder.up_blocks.0.resnets.%d.conv1.weight", f.n_res_blocks, 0))
        f.n_res_blocks++;
    f.n_res_blocks--;
    if (f.base_dim < 1 || f.decoder_base_dim < 1 || f.n_levels < 2 || f.n_res_blocks < 1)
        return kn_fail(err, KN_EFORMAT,
                       "%s does not look like a Wan VAE: encoder.conv_in, decoder.conv_out or "
                       "decoder.up_blocks are missing",
                       origin);
    for (int i = 0; i < f.n_levels; i++) {
        f.dim_mult[i] =
            (int)(dim_of(ck, 0, "decoder.up_blocks.%d.resnets.0.conv1.weight", f.n_levels - 1 - i, 0) /
                  f.decoder_base_dim);
        const char *time_conv = f.residual ? "decoder.up_blocks.%d.upsampler.time_conv.weight"
                                           : "decoder.up_blocks.%d.upsamplers.0.time_conv.weight";
        if (i + 1 < f.n_levels)
            f.temporal_downsample[i] = dim_of(ck, 0, time_conv, f.n_levels - 2 - i, 0) > 0;
    }
    if (f.z_dim != 16 && f.z_dim != 48)
        return kn_fail(err, KN_EUNSUPPORTED,
                       "%s: a VAE with %d latent channels and no config.json; latent statistics "
                       "are known for 16 (Wan 2.1) and 48 (Wan 2.2)",
                       origin, f.z_dim);
    memcpy(f.latents_mean, f.z_dim == 16 ? mean_16 : mean_48, (size_t)f.z_dim * sizeof(float));
    memcpy(f.latents_std, f.z_dim == 16 ? std_16 : std_48, (size_t)f.z_dim * sizeof(float));
    int rc = complete(&f, origin, err);
    if (!rc)
        *ret = f;
    return rc;
}

/* ---- weights ----
 *
 * The convolutions at both ends of a half stay float32 in bf16 runs: they have so few channels that nothing averages
 * their rounding out and next to no work to save. */

static void load_res(kn_loader *l, kn_wan_res_block *b, const char *name, int64_t n_in, int64_t n_out)
{
    char p[96];
    b->n_in = n_in;
    b->n_out = n_out;
    snprintf(p, sizeof p, "%s.norm1.gamma", name);
    b->norm1 = kn_load_vector(l, p, 1, &n_in, 0);
    snprintf(p, sizeof p, "%s.conv1", name);
    b->conv1 = kn_load_conv(l, p, n_in, n_out, 3, 3, 3, 0);
    snprintf(p, sizeof p, "%s.norm2.gamma", name);
    b->norm2 = kn_load_vector(l, p, 1, &n_out, 0);
    snprintf(p, sizeof p, "%s.conv2", name);
    b->conv2 = kn_load_conv(l, p, n_out, n_out, 3, 3, 3, 0);
    snprintf(p, sizeof p, "%s.conv_shortcut", name);
    b->shortcut = n_in != n_out ? kn_load_conv(l, p, n_in, n_out, 1, 1, 1, 0) : NULL;
}

static void load_mid(kn_loader *l, kn_wan_half *h, int64_t n)
{
    load_res(l, &h->mid[0], "mid_block.resnets.0", n, n);
    h->attention.norm = kn_load_vector(l, "mid_block.attentions.0.norm.gamma", 1, &n, 0);
    h->attention.qkv = kn_load_linear(l, "mid_block.attentions.0.to_qkv", n, 3 * n, KN_LOAD_KEEP_FLOAT);
    h->attention.proj = kn_load_linear(l, "mid_block.attentions.0.proj", n, n, KN_LOAD_KEEP_FLOAT);
    load_res(l, &h->mid[1], "mid_block.resnets.1", n, n);
}

static void load_resample(kn_loader *l, kn_wan_stage *s, const char *name, int64_t n_time_out, unsigned flags)
{
    char p[128];
    snprintf(p, sizeof p, "%s.resample.1", name);
    s->resample = kn_load_conv(l, p, s->n_out, s->n_resampled, 1, 3, 3, flags);
    snprintf(p, sizeof p, "%s.time_conv", name);
    s->time_conv = n_time_out ? kn_load_conv(l, p, s->n_out, n_time_out, 3, 1, 1, 0) : NULL;
}

static void load_decoder(kn_wan_half *d, const kn_wan_vae_config *f, kn_loader *l)
{
    int64_t base = f->decoder_base_dim, top = base * f->dim_mult[f->n_levels - 1], n_in = top;
    char p[96];
    kn_loader_prefix(l, "decoder.");
    d->n_first = top;
    d->conv_in = kn_load_conv(l, "conv_in", f->z_dim, top, 3, 3, 3, KN_LOAD_F32);
    load_mid(l, d, top);
    for (int i = 0; i < f->n_levels; i++) {
        kn_wan_stage *s = &d->stages[d->n_stages++];
        bool last = i + 1 == f->n_levels, in_time = !last && f->temporal_downsample[f->n_levels - 2 - i];
        s->n_in = n_in;
        s->n_out = base * f->dim_mult[f->n_levels - 1 - i];
        s->n_resampled = last || f->residual ? s->n_out : s->n_out / 2;
        for (int j = 0; j <= f->n_res_blocks; j++) {
            snprintf(p, sizeof p, "up_blocks.%d.resnets.%d", i, j);
            load_res(l, &s->res[s->n_res++], p, j ? s->n_out : s->n_in, s->n_out);
        }
        if (!last) {
            snprintf(p, sizeof p, f->residual ? "up_blocks.%d.upsampler" : "up_blocks.%d.upsamplers.0", i);
            load_resample(l, s, p, in_time ? 2 * s->n_out : 0, KN_LOAD_UPSAMPLE2);
            s->factor_s = f->residual ? 2 : 0;
            s->factor_t = in_time ? 2 : 1;
        }
        n_in = s->n_resampled;
    }
    d->n_last = n_in;
    d->norm_out = kn_load_vector(l, "norm_out.gamma", 1, &d->n_last, 0);
    d->conv_out =
        kn_load_conv(l, "conv_out", d->n_last, 3 * f->patch_size * f->patch_size, 3, 3, 3, KN_LOAD_F32);
}

static void load_encoder(kn_wan_half *e, const kn_wan_vae_config *f, kn_loader *l)
{
    int64_t n_in = f->base_dim;
    int block = 0; /* 2.1 numbers residual blocks and resamplers in one flat list */
    char p[96];
    kn_loader_prefix(l, "encoder.");
    e->n_first = n_in;
    e->conv_in = kn_load_conv(l, "conv_in", 3 * f->patch_size * f->patch_size, n_in, 3, 3, 3, KN_LOAD_F32);
    for (int i = 0; i < f->n_levels; i++) {
        kn_wan_stage *s = &e->stages[e->n_stages++];
        bool last = i + 1 == f->n_levels, in_time = !last && f->temporal_downsample[i];
        s->n_in = n_in;
        s->n_out = s->n_resampled = (int64_t)f->base_dim * f->dim_mult[i];
        for (int j = 0; j < f->n_res_blocks; j++) {
            if (f->residual)
                snprintf(p, sizeof p, "down_blocks.%d.resnets.%d", i, j);
            else
                snprintf(p, sizeof p, "down_blocks.%d", block++);
            load_res(l, &s->res[s->n_res++], p, j ? s->n_out : s->n_in, s->n_out);
        }
        if (!last) {
            if (f->residual)
                snprintf(p, sizeof p, "down_blocks.%d.downsampler", i);
            else
                snprintf(p, sizeof p, "down_blocks.%d", block++);
            load_resample(l, s, p, in_time ? s->n_out : 0, 0);
        }
        s->factor_s = !f->residual ? 0 : last ? 1 : 2;
        s->factor_t = in_time ? 2 : 1;
        n_in = s->n_out;
    }
    load_mid(l, e, n_in);
    e->n_last = n_in;
    e->norm_out = kn_load_vector(l, "norm_out.gamma", 1, &e->n_last, 0);
    e->conv_out = kn_load_conv(l, "conv_out", n_in, 2 * f->z_dim, 3, 3, 3, KN_LOAD_F32);
}

void kn_wan_vae_load(kn_wan_vae *v, const kn_wan_vae_config *config, kn_loader *l, unsigned halves)
{
    *v = (kn_wan_vae){.config = *config};
    int64_t z = config->z_dim;
    if (halves & KN_WAN_VAE_ENCODER) {
        load_encoder(&v->encoder, config, l);
        kn_loader_prefix(l, "%s", "");
        v->quant_conv = kn_load_conv(l, "quant_conv", 2 * z, 2 * z, 1, 1, 1, KN_LOAD_F32);
    }
    if (halves & KN_WAN_VAE_DECODER) {
        load_decoder(&v->decoder, config, l);
        kn_loader_prefix(l, "%s", "");
        v->post_quant_conv = kn_load_conv(l, "post_quant_conv", z, z, 1, 1, 1, KN_LOAD_F32);
    }
}
