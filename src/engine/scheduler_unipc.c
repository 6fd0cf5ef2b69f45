/* UniPC for flow models (Zhao et al. 2023; diffusers' UniPCMultistepScheduler with flow sigmas, predicting x0).
 *
 * State: the last four x0 predictions, and the sample before the last predictor step (for the corrector). */
#include <math.h>
#include <string.h>

#include "engine/scheduler.h"

/* The corrector of order 3 looks at the new prediction and three older ones. */
enum { MAX_ORDER = 3, N_HISTORY = MAX_ORDER + 1, LAST_SAMPLE = N_HISTORY, N_STATE = N_HISTORY + 1 };

static void schedule(const kn_scheduler_config *f, int n, double *sigmas, double *timesteps)
{
    double last = 1.0 / f->n_train_timesteps;
    for (int i = 0; i < n; i++) {
        double s = 1.0 + (last - 1.0) * i / n;
        s = f->flow_shift * s / (1 + (f->flow_shift - 1) * s);
        if (i == 0 && fabs(s - 1) < 1e-6)
            s -= 1e-6; /* keeps log(1 - sigma) finite */
        timesteps[i] = trunc(s * f->n_train_timesteps);
        sigmas[i] = (float)s;
    }
    sigmas[n] = f->final_sigma == KN_FINAL_ZERO ? 0 : sigmas[n - 1];
}

/* log of the signal-to-noise ratio; sigma 0 gives infinity, which the update formulas survive. */
static double lambda(double sigma)
{
    return log(1 - sigma) - log(sigma);
}

/* x0 predicted k steps ago (0: the newest). */
static float *history(const kn_scheduler *s, int k)
{
    return s->state + k * s->n;
}

/* Solves the m x m system a x = b by elimination with pivoting; m <= 3. */
static void solve(int m, double a[MAX_ORDER][MAX_ORDER], const double *b, double *x)
{
    for (int i = 0; i < m; i++)
        x[i] = b[i];
    for (int i = 0; i < m; i++) {
        int p = i;
        for (int r = i + 1; r < m; r++)
            if (fabs(a[r][i]) > fabs(a[p][i]))
                p = r;
        for (int k = 0; k < m; k++) {
            double t = a[i][k];
            a[i][k] = a[p][k];
            a[p][k] = t;
        }
        double t = x[i];
        x[i] = x[p];
        x[p] = t;
        for (int r = i + 1; r < m; r++) {
            double q = a[r][i] / a[i][i];
            for (int k = i; k < m; k++)
                a[r][k] -= q * a[i][k];
            x[r] -= q * x[i];
        }
    }
    for (int i = m - 1; i >= 0; i--) {
        for (int k = i + 1; k < m; k++)
            x[i] -= a[i][k] * x[k];
        x[i] /= a[i][i];
    }
}

/* The coefficients of one update from sigma[at] to sigma[to] with the given order. */
typedef struct update {
    double x, m0, b_h;    /* x_t = x * sample - m0 * m0 - b_h * (sum of rho_k D_k ...) */
    double rk[MAX_ORDER]; /* relative step of each older prediction; D_k = (m_k - m0) / rk */
    double rho[MAX_ORDER];
} update;

/* Rows of the order conditions: R[i][k] = rk^i, b[i] = i! phi / B(h). The last node is the target itself (rk = 1). */
static void conditions(const update *u, int order, double hh, double b_h, double r[MAX_ORDER][MAX_ORDER],
                       double *b)
{
    double phi = expm1(hh) / hh - 1, factorial = 1;
    for (int i = 0; i < order; i++) {
        for (int k = 0; k < order; k++)
            r[i][k] = pow(k + 1 < order ? u->rk[k] : 1.0, i);
        b[i] = phi * factorial / b_h;
        factorial *= i + 2;
        phi = phi / hh - 1 / factorial;
    }
}

static update coefficients(const kn_scheduler *s, int at, int order, bool corrector)
{
    double sigma_s = s->sigmas[at], sigma_t = s->sigmas[at + 1], alpha_t = 1 - sigma_t;
    double h = lambda(sigma_t) - lambda(sigma_s), hh = -h;
    double phi_1 = expm1(hh), b_h = s->config.bh1 ? hh : phi_1;
    update u = {.x = sigma_t / sigma_s, .m0 = alpha_t * phi_1, .b_h = alpha_t * b_h};
    for (int k = 0; k + 1 < order; k++)
        u.rk[k] = (lambda(s->sigmas[at - k - 1]) - lambda(sigma_s)) / h;
    double r[MAX_ORDER][MAX_ORDER], b[MAX_ORDER];
    conditions(&u, order, hh, b_h, r, b);
    if (corrector && order == 1)
        u.rho[0] = 0.5;
    else if (corrector)
        solve(order, r, b, u.rho);
    else if (order == 2)
        u.rho[0] = 0.5;
    else if (order > 2)
        solve(order - 1, r, b, u.rho);
    return u;
}

/* out = u.x * x - u.m0 * m0 - u.b_h * (sum rho_k (m_k - m0) / rk + rho_last (m_t - m0)); m_t NULL: predictor. */
static void apply(const kn_scheduler *s, const update *u, int order, int newest, const float *x,
                  const float *m_t, float *out)
{
    const float *m0 = history(s, newest);
    for (int64_t j = 0; j < s->n; j++) {
        double sum = 0;
        for (int k = 0; k + 1 < order; k++)
            sum += u->rho[k] * (((double)history(s, newest + k + 1)[j] - m0[j]) / u->rk[k]);
        if (m_t)
            sum += u->rho[order - 1] * ((double)m_t[j] - m0[j]);
        out[j] = (float)(u->x * x[j] - u->m0 * m0[j] - u->b_h * sum);
    }
}

/* The corrector then does the last step again with the new prediction, and the predictor takes no slope from it. */
static void rejoin(kn_scheduler *s, int i, const float *sample, const float *v)
{
    float *x0 = history(s, 0);
    for (int64_t j = 0; j < s->n; j++)
        x0[j] = sample[j] - (float)s->sigmas[i] * v[j];
}

static void step(kn_scheduler *s, int i, float *sample, const float *v)
{
    /* shift the history, then put this step's x0 = x - sigma v in front */
    memmove(history(s, 1), history(s, 0), (size_t)(N_HISTORY - 1) * (size_t)s->n * sizeof(float));
    float *x0 = history(s, 0), *last = s->state + LAST_SAMPLE * s->n;
    for (int64_t j = 0; j < s->n; j++)
        x0[j] = sample[j] - (float)s->sigmas[i] * v[j];

    bool corrected = i > 0 && !(i - 1 < 64 && (s->config.no_corrector_mask >> (i - 1) & 1));
    if (corrected) {
        update c = coefficients(s, i - 1, s->last_order, true);
        apply(s, &c, s->last_order, 1, last, x0, sample);
    }
    int order = s->config.solver_order;
    if (s->config.lower_order_final && order > s->n_steps - i)
        order = s->n_steps - i;
    if (order > i + 1)
        order = i + 1;
    memcpy(last, sample, (size_t)s->n * sizeof(float));
    update p = coefficients(s, i, order, false);
    apply(s, &p, order, 0, last, NULL, sample);
    s->last_order = order;
}

const kn_scheduler_class kn_scheduler_unipc = {
    .name = "unipc",
    .diffusers = "UniPCMultistepScheduler",
    .schedule = schedule,
    .n_state = N_STATE,
    .step = step,
    .rejoin = rejoin,
};
