#include "tensor/device.h"

#include "base/err.h"

void kn_device_close(kn_device *dev)
{
    if (dev)
        dev->ops->close(dev);
}

static size_t apply(size_t value, int64_t delta)
{
    KN_ASSERT(delta >= 0 || (uint64_t)-delta <= value);
    return value + (size_t)delta;
}

static size_t in_use(const kn_device *dev)
{
    return dev->mem_weights_bytes + dev->mem_pool_bytes + dev->mem_host_bytes;
}

static void note_peak(kn_device *dev)
{
    if (in_use(dev) > dev->mem_peak_bytes)
        dev->mem_peak_bytes = in_use(dev);
}

void kn_device_account(kn_device *dev, int64_t d_weights, int64_t d_pool)
{
    dev->mem_weights_bytes = apply(dev->mem_weights_bytes, d_weights);
    dev->mem_pool_bytes = apply(dev->mem_pool_bytes, d_pool);
    note_peak(dev);
}

void kn_device_account_host(kn_device *dev, int64_t delta)
{
    if (dev->has_own_memory)
        return;
    dev->mem_host_bytes = apply(dev->mem_host_bytes, delta);
    note_peak(dev);
}

void kn_device_reset_peak(kn_device *dev)
{
    dev->mem_peak_bytes = in_use(dev);
}
