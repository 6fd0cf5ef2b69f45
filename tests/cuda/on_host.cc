// The fibres behind on_host.hpp.
#include "cuda/on_host.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>
#if !defined __x86_64__
#include <ucontext.h>
#endif

dim3 threadIdx, blockIdx, blockDim, gridDim;

#if defined __x86_64__
// Saves the registers that a function must keep, goes on where `to` was saved: ucontext's switch makes two system calls.
extern "C" void host_switch(void **from, void *to);
asm(".text\n.globl host_switch\n.hidden host_switch\nhost_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
#endif

namespace {

const unsigned LANES = 32, MAX_THREADS = 1024;
const size_t STACK_BYTES = 128 << 10, SHARED_BYTES = 227 << 10;

void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "a kernel on the host: %s\n", what);
    abort();
}

#if defined __x86_64__

struct context {
    void *sp;
};

void switch_to(context &from, context &to) { host_switch(&from.sp, to.sp); }

// The first switch pops six registers and returns into `enter`, on a stack as after a call.
void prepare(context &c, char *stack, size_t bytes, void (*enter)())
{
    void **top = (void **)(((uintptr_t)stack + bytes) & ~(uintptr_t)15);
    top[-1] = nullptr;
    top[-2] = (void *)enter;
    c.sp = top - 8;
}

#else

struct context {
    ucontext_t u;
};

void switch_to(context &from, context &to) { swapcontext(&from.u, &to.u); }

void prepare(context &c, char *stack, size_t bytes, void (*enter)())
{
    getcontext(&c.u);
    c.u.uc_stack.ss_sp = stack;
    c.u.uc_stack.ss_size = bytes;
    c.u.uc_link = nullptr;
    makecontext(&c.u, enter, 0);
}

#endif

struct fetch {
    void *dst;
    const void *src;
    bool there;
};

struct barrier {
    unsigned alive = 0, arrived = 0, generation = 0;
};

struct fibre {
    context where;
    std::vector<char> stack;
    bool done = false;
    std::deque<std::vector<fetch>> fetches; // groups; the last one is open
};

// What the lanes of a warp bring to an instruction that they do together; the last one to come does it for all.
struct lane_args {
    float *c;
    const uint32_t *a, *b;
    uint32_t *r;
    const void *row;
    float value;
};

struct warp_args {
    lane_args lanes[LANES];
};

struct machine {
    std::vector<fibre> fibres{MAX_THREADS};
    context scheduler;
    unsigned n = 0, current = 0;
    barrier block, warps[MAX_THREADS / LANES];
    warp_args args[MAX_THREADS / LANES];
    const std::function<void()> *thread = nullptr;
    bool has_fibres = false, had_barrier = false;
    alignas(1024) unsigned char shared[SHARED_BYTES];
} *m;

void set_thread(unsigned i)
{
    m->current = i;
    threadIdx = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
}

void release_if_full(barrier &b)
{
    if (b.alive && b.arrived == b.alive) {
        b.arrived = 0;
        b.generation++;
    }
}

void yield()
{
    unsigned me = m->current;
    switch_to(m->fibres[me].where, m->scheduler);
    set_thread(me);
}

// `last`: what the last one to come does.
template <typename F> void wait_at(barrier &b, F last)
{
    m->had_barrier = true;
    must(m->has_fibres, "a later block met a barrier that the first one did not");
    unsigned generation = b.generation;
    if (++b.arrived == b.alive)
        last();
    release_if_full(b);
    while (b.generation == generation)
        yield();
}

void leave(unsigned i)
{
    m->fibres[i].done = true;
    m->block.alive--;
    m->warps[i / LANES].alive--;
    release_if_full(m->block);
    release_if_full(m->warps[i / LANES]);
}

void run_fibre()
{
    (*m->thread)();
    leave(m->current);
    switch_to(m->fibres[m->current].where, m->scheduler);
}

void start_fibre(unsigned i)
{
    fibre &f = m->fibres[i];
    f.stack.resize(STACK_BYTES);
    f.done = false;
    f.fetches.assign(1, {});
    prepare(f.where, f.stack.data(), f.stack.size(), run_fibre);
}

void run_block()
{
    m->block = {m->n, 0, 0};
    for (unsigned w = 0; w * LANES < m->n; w++)
        m->warps[w] = {std::min(m->n - w * LANES, LANES), 0, 0};
    for (unsigned i = 0; i < m->n; i++)
        start_fibre(i);
    for (unsigned left = m->n; left;) {
        left = 0;
        for (unsigned i = 0; i < m->n; i++) {
            if (m->fibres[i].done)
                continue;
            set_thread(i);
            switch_to(m->scheduler, m->fibres[i].where);
            left += !m->fibres[i].done;
        }
    }
}

// Where the first block met no barrier, the others run without fibres.
void run_one(bool first)
{
    memset(m->shared, 0xff, sizeof m->shared); // NaN: what was not written shows
    m->has_fibres = first || m->had_barrier;
    if (m->has_fibres)
        run_block();
    for (unsigned i = 0; i < m->n && !m->has_fibres; i++) {
        set_thread(i);
        (*m->thread)();
    }
}

warp_args &my_warp() { return m->args[m->current / LANES]; }

// Does `all` once for the warp, with what every lane brings.
template <typename F> void together(const lane_args &mine, F all)
{
    warp_args &w = my_warp();
    w.lanes[m->current % LANES] = mine;
    wait_at(m->warps[m->current / LANES], [&] { all(w.lanes); });
}

float half_of(uint32_t pair, unsigned which) { return __uint_as_float(which ? pair & 0xffff0000u : pair << 16); }

// Element [row, column] of the fragments A, B and C, as mma.cuh describes them.
float element_a(const lane_args *l, unsigned row, unsigned k)
{
    return half_of(l[row % 8 * 4 + k % 8 / 2].a[row / 8 + k / 8 * 2], k % 2);
}

float element_b(const lane_args *l, unsigned k, unsigned column) { return half_of(l[column * 4 + k % 8 / 2].b[k / 8], k % 2); }

void multiply(const lane_args *l)
{
    for (unsigned row = 0; row < 16; row++)
        for (unsigned column = 0; column < 8; column++) {
            float s = 0;
            for (unsigned k = 0; k < 16; k++)
                s += element_a(l, row, k) * element_b(l, k, column);
            l[row % 8 * 4 + column / 2].c[row / 8 * 2 + column % 2] += s;
        }
}

void load(const lane_args *l, bool turned)
{
    for (unsigned lane = 0; lane < LANES; lane++)
        for (unsigned i = 0; i < 4; i++) {
            unsigned g = lane / 4, t = lane % 4;
            const uint16_t *first = (const uint16_t *)l[i * 8 + (turned ? t * 2 : g)].row;
            const uint16_t *second = (const uint16_t *)l[i * 8 + (turned ? t * 2 + 1 : g)].row;
            unsigned at = turned ? g : t * 2;
            l[lane].r[i] = first[at] | (uint32_t)second[turned ? g : at + 1] << 16;
        }
}

} // namespace

void __syncthreads()
{
    wait_at(m->block, [] {});
}

float __shfl_xor_sync(uint32_t mask, float v, int lane_mask)
{
    float r = 0;
    lane_args mine = {};
    must(mask == 0xffffffffu, "a shuffle of a part of a warp");
    mine.value = v;
    mine.c = &r;
    together(mine, [&](const lane_args *l) {
        for (unsigned i = 0; i < LANES; i++)
            if (l[i].c)
                *l[i].c = l[i ^ (unsigned)lane_mask].value;
    });
    return r;
}

void host_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    lane_args mine = {};
    mine.c = c, mine.a = a, mine.b = b;
    together(mine, multiply);
}

void host_load_matrices(uint32_t r[4], const void *row, bool turned)
{
    lane_args mine = {};
    must((uintptr_t)row % 16 == 0, "a row of a matrix that is not aligned to 16 bytes");
    mine.r = r, mine.row = row;
    together(mine, [&](const lane_args *l) { load(l, turned); });
}

void host_fetch16(void *dst, const void *src, bool there)
{
    must((uintptr_t)dst % 16 == 0 && (uintptr_t)src % 16 == 0, "a fetch that is not aligned to 16 bytes");
    m->fibres[m->current].fetches.back().push_back({dst, src, there});
}

void host_fetch_end() { m->fibres[m->current].fetches.emplace_back(); }

void host_fetch_wait(int n)
{
    std::deque<std::vector<fetch>> &groups = m->fibres[m->current].fetches;
    for (; (int)groups.size() - 1 > n; groups.pop_front())
        for (const fetch &f : groups.front()) {
            if (f.there)
                memcpy(f.dst, f.src, 16);
            else
                memset(f.dst, 0, 16);
        }
}

unsigned char *host_shared() { return m->shared; }

void host_launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &thread)
{
    if (!m)
        m = new machine;
    m->n = block.x * block.y * block.z;
    must(m->n <= MAX_THREADS && shared_bytes <= SHARED_BYTES, "more threads or shared memory than a card has");
    must(grid.x && grid.y && grid.z && grid.y <= 65535 && grid.z <= 65535, "a grid that a card refuses");
    m->thread = &thread;
    m->had_barrier = false;
    gridDim = grid;
    blockDim = block;
    bool first = true;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                run_one(first);
                first = false;
            }
}
