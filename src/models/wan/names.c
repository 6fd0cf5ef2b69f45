/* Names of the transformer. */
#include "models/wan/names.h"

#include <stdio.h>
#include <string.h>

typedef struct rule {
    const char *original, *canonical;
} rule;

static const rule top_rules[] = {
    {"patch_embedding", "patch_embedding"},
    {"vace_patch_embedding", "vace_patch_embedding"},
    {"time_embedding.0", "condition_embedder.time_embedder.linear_1"},
    {"time_embedding.2", "condition_embedder.time_embedder.linear_2"},
    {"time_projection.1", "condition_embedder.time_proj"},
    {"text_embedding.0", "condition_embedder.text_embedder.linear_1"},
    {"text_embedding.2", "condition_embedder.text_embedder.linear_2"},
    {"img_emb.proj.0", "condition_embedder.image_embedder.norm1"},
    {"img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"},
    {"img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"},
    {"img_emb.proj.4", "condition_embedder.image_embedder.norm2"},
    {"img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"},
    {"head.head", "proj_out"},
    {"head.modulation", "scale_shift_table"},
};

/* Behind "blocks.N." and "vace_blocks.N.".  The original's norm3 is the reference's norm2: both are the norm before
 * cross attention, the only one with weights. */
static const rule block_rules[] = {
    {"self_attn.q", "attn1.to_q"},
    {"self_attn.k", "attn1.to_k"},
    {"self_attn.v", "attn1.to_v"},
    {"self_attn.o", "attn1.to_out.0"},
    {"self_attn.norm_q", "attn1.norm_q"},
    {"self_attn.norm_k", "attn1.norm_k"},
    {"cross_attn.q", "attn2.to_q"},
    {"cross_attn.k", "attn2.to_k"},
    {"cross_attn.v", "attn2.to_v"},
    {"cross_attn.o", "attn2.to_out.0"},
    {"cross_attn.norm_q", "attn2.norm_q"},
    {"cross_attn.norm_k", "attn2.norm_k"},
    {"cross_attn.k_img", "attn2.add_k_proj"},
    {"cross_attn.v_img", "attn2.add_v_proj"},
    {"cross_attn.norm_k_img", "attn2.norm_added_k"},
    {"norm3", "norm2"},
    {"ffn.0", "ffn.net.0.proj"},
    {"ffn.2", "ffn.net.2"},
    {"modulation", "scale_shift_table"},
    {"before_proj", "proj_in"},
    {"after_proj", "proj_out"},
};

enum { N_TOP = sizeof top_rules / sizeof *top_rules, N_BLOCK = sizeof block_rules / sizeof *block_rules };

static const char *const prefixes[] = {"model.diffusion_model.", "diffusion_model.", "transformer."};

static const char *after_prefix(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return name + strlen(prefixes[i]);
    return name;
}

/* True if `stem` is name, or name up to one of its dots; *rest is what follows. */
static bool begins_with(const char *name, const char *stem, const char **rest)
{
    size_t len = strlen(stem);
    if (strncmp(name, stem, len) != 0 || (name[len] && name[len] != '.'))
        return false;
    *rest = name + len;
    return true;
}

/* The length of "blocks.12." or "vace_blocks.0."; 0 for other names. */
static size_t block_head(const char *name)
{
    const char *p = name;
    if (!strncmp(p, "vace_", 5))
        p += 5;
    if (strncmp(p, "blocks.", 7) != 0)
        return 0;
    size_t digits = strspn(p + 7, "0123456789");
    return digits && p[7 + digits] == '.' ? (size_t)(p - name) + 7 + digits + 1 : 0;
}

/* Translates one name; 0 written, 1 already right, 2 unknown. */
static int translate(const char *name, bool to_canonical, char *out, size_t size)
{
    size_t head = block_head(name);
    const rule *rules = head ? block_rules : top_rules;
    const char *tail = name + head, *rest = NULL;
    for (int i = 0; i < (head ? (int)N_BLOCK : (int)N_TOP); i++) {
        const char *from = to_canonical ? rules[i].original : rules[i].canonical;
        const char *to = to_canonical ? rules[i].canonical : rules[i].original;
        if (begins_with(tail, from, &rest)) {
            snprintf(out, size, "%.*s%s%s", (int)head, name, to, rest);
            return strcmp(out, name) ? 0 : 1;
        }
    }
    for (int i = 0; i < (head ? (int)N_BLOCK : (int)N_TOP); i++)
        if (begins_with(tail, to_canonical ? rules[i].canonical : rules[i].original, &rest))
            return 1;
    return 2;
}

static int to_canonical(const char *name, char *out, size_t size)
{
    const char *bare = after_prefix(name);
    int rc = translate(bare, true, out, size);
    if (rc == 1 && bare != name) {
        snprintf(out, size, "%s", bare);
        return 0;
    }
    return rc;
}

static int to_original(const char *name, char *out, size_t size)
{
    return translate(name, false, out, size);
}

const kn_name_map kn_wan_names = {to_canonical, to_original};

/* Parts of an all-in-one file that are other components. */
static bool is_foreign(const char *name)
{
    static const char *const heads[] = {"first_stage_model.", "vae.", "cond_stage_model.", "text_encoders.",
                                        "conditioner."};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (!strncmp(name, heads[i], strlen(heads[i])))
            return true;
    return false;
}

static int rename_transformer(void *ud, const char *name, char *out, size_t size)
{
    (void)ud;
    if (is_foreign(name))
        return 2;
    int rc = to_canonical(name, out, size);
    return rc == 0 ? 0 : 1;
}

int kn_wan_rename_transformer(kn_checkpoint *ck, kn_err *err)
{
    return kn_checkpoint_rename(ck, rename_transformer, NULL, err);
}
