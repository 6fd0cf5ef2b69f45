/* A stand-in for NVIDIA's management library: two GPUs, of which the second tells no temperature. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9 };

static int devices[2];

int nvmlInit_v2(void);
int nvmlInit_v2(void)
{
    return getenv("FAKE_NVML_FAILS") ? DRIVER_NOT_LOADED : SUCCESS;
}

int nvmlShutdown(void);
int nvmlShutdown(void)
{
    return SUCCESS;
}

const char *nvmlErrorString(int code);
const char *nvmlErrorString(int code)
{
    return code == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Unknown Error";
}

int nvmlDeviceGetCount_v2(unsigned *n);
int nvmlDeviceGetCount_v2(unsigned *n)
{
    *n = 2;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **dev);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **dev)
{
    *dev = &devices[i];
    return SUCCESS;
}

int nvmlDeviceGetName(void *dev, char *name, unsigned size);
int nvmlDeviceGetName(void *dev, char *name, unsigned size)
{
    snprintf(name, size, "Fake RTX 40%d0", dev == &devices[0] ? 8 : 6);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *dev, unsigned long long *m);
int nvmlDeviceGetMemoryInfo(void *dev, unsigned long long *m)
{
    (void)dev;
    m[0] = 16ull << 30;
    m[1] = 15ull << 30;
    m[2] = 1ull << 30;
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *v, unsigned size);
int nvmlSystemGetDriverVersion(char *v, unsigned size)
{
    snprintf(v, size, "550.00");
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *dev, unsigned *u);
int nvmlDeviceGetUtilizationRates(void *dev, unsigned *u)
{
    (void)dev;
    u[0] = 37;
    u[1] = 12;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *dev, int sensor, unsigned *t);
int nvmlDeviceGetTemperature(void *dev, int sensor, unsigned *t)
{
    *t = 61;
    return sensor == 0 && dev == &devices[0] ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetPowerUsage(void *dev, unsigned *mw);
int nvmlDeviceGetPowerUsage(void *dev, unsigned *mw)
{
    (void)dev;
    *mw = 123500;
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(void *dev, int *major, int *minor);
int nvmlDeviceGetCudaComputeCapability(void *dev, int *major, int *minor)
{
    (void)dev;
    *major = 8;
    *minor = 9;
    return SUCCESS;
}
