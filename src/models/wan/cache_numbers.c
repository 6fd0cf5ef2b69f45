#include "models/wan/cache_numbers.h"

#include <math.h>

/* clang-format off */
/* Ratios of the mean size of what the blocks add to that at the step before, with the prompt (without it they are the same to three
 * digits). Ma et al., https://github.com/Zehong-Ma/MagCache, commit df81cb1, MagCache4Wan2.1 and MagCache4Wan2.2; the first step's 1
 * stands in front. */
static const double mag_t2v_1_3b[] = {
    1.0, 1.0124, 1.00166, 0.99791, 0.99682, 0.99634, 0.99567, 0.99416, 0.99578, 0.9957, 0.99511, 0.99535,
    0.99552, 0.99541, 0.9954, 0.99489, 0.99518, 0.99484, 0.99481, 0.99415, 0.99419, 0.99396, 0.99388, 0.99349,
    0.99309, 0.9927, 0.99228, 0.99171, 0.99137, 0.99068, 0.99005, 0.98944, 0.98849, 0.98758, 0.98644, 0.98504,
    0.9836, 0.98202, 0.97977, 0.97717, 0.9741, 0.97003, 0.96538, 0.9593, 0.95086, 0.94013, 0.92402, 0.90241,
    0.86821, 0.81838};
static const double mag_t2v_14b[] = {
    1.0, 1.02504, 1.00025, 0.9985, 0.99779, 0.9966, 0.99482, 0.99467, 0.99664, 0.99434, 0.99533, 0.99468,
    0.99438, 0.99516, 0.99384, 0.99404, 0.99517, 0.99409, 0.99428, 0.99347, 0.99418, 0.99271, 0.99313,
    0.99215, 0.99218, 0.99216, 0.99163, 0.99138, 0.98982, 0.98996, 0.9887, 0.98772, 0.98767, 0.98573, 0.98501,
    0.9838, 0.98177, 0.98037, 0.97678, 0.97546, 0.97184, 0.96711, 0.96349, 0.95629, 0.94926, 0.93964, 0.92511,
    0.90693, 0.8796, 0.86111};
static const double mag_i2v_480p[] = {
    1.0, 0.98783, 0.97559, 0.98311, 0.98202, 0.9888, 0.98762, 0.98957, 0.99052, 0.99383, 0.98857, 0.99065,
    0.98845, 0.99057, 0.98957, 0.98601, 0.98823, 0.98756, 0.98808, 0.98721, 0.98571, 0.98543, 0.98157,
    0.98411, 0.97952, 0.98149, 0.9774, 0.97825, 0.97355, 0.97085, 0.97056, 0.96588, 0.96113, 0.9567, 0.94961,
    0.93973, 0.93217, 0.91878, 0.90955, 0.92617};
static const double mag_i2v_720p[] = {
    1.0, 0.99428, 0.98588, 0.98273, 0.99018, 0.98911, 0.98646, 0.99454, 0.9891, 0.99124, 0.99102, 0.99215,
    0.99515, 0.99576, 0.99068, 0.99097, 0.99166, 0.99041, 0.99201, 0.99101, 0.98599, 0.98845, 0.98848,
    0.98862, 0.98718, 0.98497, 0.98264, 0.98389, 0.97938, 0.97535, 0.97498, 0.973, 0.96827, 0.96261, 0.95335,
    0.94649, 0.93397, 0.91636, 0.89088, 0.8679};
static const double mag_vace_1_3b[] = {
    1.0, 1.00129, 1.00056, 0.99776, 0.99726, 0.99725, 0.9958, 0.99703, 0.99863, 0.99735, 0.99714, 0.99697,
    0.9969, 0.99695, 0.99697, 0.99608, 0.99721, 0.99649, 0.99659, 0.99727, 0.99603, 0.99652, 0.99635, 0.9958,
    0.99581, 0.99573, 0.99531, 0.99505, 0.99481, 0.99426, 0.99403, 0.99357, 0.99302, 0.99243, 0.9916, 0.99085,
    0.98985, 0.98857, 0.98717, 0.98551, 0.98301, 0.9805, 0.97635, 0.97183, 0.96496, 0.95526, 0.94102, 0.91809,
    0.87871, 0.80141};
static const double mag_t2v_a14b[] = {
    1.0, 1.00124, 0.99822, 0.99696, 0.99703, 0.9966, 0.99602, 0.99578, 0.99484, 0.99633, 0.99659, 0.99534,
    0.99584, 0.99681, 0.99563, 0.9944, 0.99594, 0.99466, 0.99453, 0.99389, 0.99391, 0.99354, 0.99283, 0.99268,
    0.99057, 0.99125, 0.65523, 0.98808, 0.98765, 0.9851, 0.98311, 0.9805, 0.97776, 0.97278, 0.96731, 0.95857,
    0.94385, 0.92118, 0.88108, 0.80263};
static const double mag_ti2v_5b_text[] = {
    1.0, 0.99505, 0.99441, 0.99558, 0.99499, 0.99534, 0.99468, 0.99463, 0.9946, 0.99408, 0.9945, 0.99409,
    0.99403, 0.99382, 0.99349, 0.99377, 0.9933, 0.99303, 0.99217, 0.992, 0.99201, 0.99133, 0.99112, 0.99155,
    0.98958, 0.98959, 0.98838, 0.98826, 0.9883, 0.98711, 0.98562, 0.98511, 0.98414, 0.98284, 0.98104, 0.97981,
    0.97849, 0.97557, 0.97398, 0.97171, 0.96917, 0.96511, 0.96263, 0.95839, 0.95483, 0.94942, 0.9468, 0.94583,
    0.94843, 0.96949};
static const double mag_ti2v_5b_image[] = {
    1.0, 0.99512, 0.99559, 0.99595, 0.99512, 0.99546, 0.99543, 0.99496, 0.99504, 0.99444, 0.99481, 0.99435,
    0.9943, 0.99411, 0.99373, 0.99413, 0.99363, 0.99335, 0.99244, 0.99229, 0.99239, 0.99163, 0.99149, 0.99191,
    0.9898, 0.9899, 0.98849, 0.98846, 0.98861, 0.9874, 0.98588, 0.98539, 0.98444, 0.9831, 0.98119, 0.98001,
    0.97862, 0.97555, 0.97392, 0.97152, 0.96871, 0.96435, 0.96129, 0.95639, 0.95176, 0.94446, 0.93972,
    0.93575, 0.93537, 0.96655};
static const double mag_i2v_a14b[] = {
    1.0, 0.99191, 0.99356, 0.99326, 0.99251, 0.99393, 0.9943, 0.99276, 0.99389, 0.99274, 0.99316, 0.99379,
    0.99268, 0.99222, 0.99175, 0.91076, 0.98931, 0.99087, 0.98852, 0.98895, 0.98806, 0.9871, 0.98613, 0.98434,
    0.983, 0.98185, 0.98131, 0.9783, 0.97619, 0.97264, 0.97088, 0.96568, 0.96045, 0.95322, 0.94579, 0.93297,
    0.91699, 0.89174, 0.8541, 0.79823};

/* Liu et al., https://github.com/ali-vilab/TeaCache, commit 7c10efc, TeaCache4Wan2.1, those with --use_ret_steps. */
static const double tea_t2v_1_3b[] = {-5.21862437e+04, 9.23041404e+03, -5.28275948e+02, 1.36987616e+01, -4.99875664e-02};
static const double tea_t2v_14b[] = {-3.03318725e+05, 4.90537029e+04, -2.65530556e+03, 5.87365115e+01, -3.15583525e-01};
static const double tea_i2v_480p[] = {2.57151496e+05, -3.54229917e+04, 1.40286849e+03, -1.35890334e+01, 1.32517977e-01};
static const double tea_i2v_720p[] = {8.10705460e+03, 2.13393892e+03, -3.72934672e+02, 1.66203073e+01, -4.17769401e-02};
/* clang-format on */

/* Between the shifts of the two. */
static const double shift_of_720p = 4;

typedef struct published {
    int64_t dim;
    int n_layers;
    bool two_experts, expand_timesteps, vace, image, is_720p;
    const double *mag, *tea;
    int n_mag;
} published;

#define MAG(table) .mag = (table), .n_mag = (int)(sizeof(table) / sizeof *(table))

static const published models[] = {
    {.dim = 1536, .n_layers = 30, MAG(mag_t2v_1_3b), .tea = tea_t2v_1_3b},
    {.dim = 5120, .n_layers = 40, MAG(mag_t2v_14b), .tea = tea_t2v_14b},
    {.dim = 5120, .n_layers = 40, .image = true, MAG(mag_i2v_480p), .tea = tea_i2v_480p},
    {.dim = 5120, .n_layers = 40, .image = true, .is_720p = true, MAG(mag_i2v_720p), .tea = tea_i2v_720p},
    {.dim = 1536, .n_layers = 30, .vace = true, MAG(mag_vace_1_3b)},
    {.dim = 5120, .n_layers = 40, .vace = true, MAG(mag_t2v_14b)}, /* as published: the same numbers */
    {.dim = 5120, .n_layers = 40, .two_experts = true, MAG(mag_t2v_a14b)},
    {.dim = 5120, .n_layers = 40, .two_experts = true, .image = true, MAG(mag_i2v_a14b)},
    {.dim = 3072, .n_layers = 30, .expand_timesteps = true, MAG(mag_ti2v_5b_text)},
    {.dim = 3072, .n_layers = 30, .expand_timesteps = true, .image = true, MAG(mag_ti2v_5b_image)},
};

static const published *find(const kn_wan_kind *k)
{
    const kn_wan_config *f = k->config;
    bool image = k->expand_timesteps ? k->with_image : f->in_channels > f->out_channels;
    bool is_720p = image && !k->two_experts && !k->expand_timesteps && k->flow_shift > shift_of_720p;
    for (size_t i = 0; !f->n_pos_embed && i < sizeof models / sizeof *models; i++) {
        const published *p = &models[i];
        if (p->dim == f->dim && p->n_layers == f->n_layers && p->two_experts == k->two_experts &&
            p->expand_timesteps == k->expand_timesteps && p->vace == (f->n_vace > 0) && p->image == image &&
            p->is_720p == is_720p)
            return p;
    }
    return NULL;
}

bool kn_wan_mag_ratios(const kn_wan_kind *k, int n_steps, double *ret)
{
    const published *p = find(k);
    if (!p)
        return false;
    for (int i = 0; i < n_steps; i++)
        ret[i] = p->mag[n_steps > 1 ? lrint((double)i * (p->n_mag - 1) / (n_steps - 1)) : p->n_mag - 1];
    return true;
}

const double *kn_wan_tea_polynomial(const kn_wan_kind *k)
{
    const published *p = find(k);
    return p ? p->tea : NULL;
}

double kn_wan_tea_change(const double *polynomial, double relative_change)
{
    double y = 0;
    for (int i = 0; i < KN_WAN_TEA_COEFFICIENTS; i++)
        y = y * relative_change + polynomial[i];
    return y;
}
