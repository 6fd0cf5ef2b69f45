/* What this machine has: processor, memory, graphics processors, the disk under a folder. */
#ifndef KN_ENGINE_HARDWARE_H
#define KN_ENGINE_HARDWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "tensor/device.h"

enum { KN_MAX_GPUS = 16 };

/* Numbers that the driver does not tell are -1, sizes 0. */
typedef struct kn_gpu {
    char vendor[16]; /* "nvidia", "amd" */
    char name[96], driver[64];
    char id[32]; /* "0" (NVML's index), "card1" */
    uint64_t total_bytes, free_bytes;
    int busy_percent, celsius;
    double watts;
    int compute_major, compute_minor; /* CUDA compute capability */
} kn_gpu;

typedef struct kn_gpus {
    kn_gpu items[KN_MAX_GPUS];
    int n;
    char note[160]; /* why a kind of GPU could not be asked; empty: nothing to say */
} kn_gpus;

/* NVIDIA's by its management library, found at run time (library NULL: libnvidia-ml.so.1), AMD's by the kernel's files
 * (drm NULL: /sys/class/drm). A machine without either has none; that is no error. */
void kn_gpus_find(const char *library, const char *drm, kn_gpus *ret);
/* The two halves: each adds to ret. */
void kn_gpus_find_nvidia(const char *library, kn_gpus *ret);
void kn_gpus_find_amd(const char *drm, kn_gpus *ret);

typedef struct kn_disk {
    const char *kind; /* "nvme", "ssd", "hdd", "virtual", "network", "memory", "unknown" */
    uint64_t total_bytes, free_bytes;
} kn_disk;

/* Of the file system that holds path, or the nearest folder above it that exists. */
void kn_disk_look(const char *path, kn_disk *ret);
/* Bytes a second at which a file is read past the system's cache; of a folder, the largest file below it. 0: it cannot be
 * told. Reads at most 64 MiB. */
double kn_disk_read_rate(const char *path);
/* Bytes of the files below a path, links followed. */
uint64_t kn_disk_usage(const char *path);

/* Why the GPUs that there are do not compute, and what to do about it; NULL: there is none, or `dev` is one. */
json_t *kn_gpus_why_idle(const kn_gpus *gpus, const kn_device *dev);

/* Everything as one object: processor, memory, gpus, disks of the folders that Kinora writes to. NULL without memory. */
json_t *kn_hardware_to_json(const char *processor, const kn_gpus *gpus);

#endif
