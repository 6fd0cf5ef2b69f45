/* Processor, memory and graphics processors, with the last two minutes of each. */
import { bytes, percent } from '../format';
import { resources, sparkline } from '../state/resources';
import type { Gpu, Resources } from '../types';

const WIDTH = 48;
const HEIGHT = 18;

function Meter({ name, value, more, series, hint }: { name: string; value: string; more?: string; series: number[]; hint: string }) {
    const points = sparkline(series, WIDTH, HEIGHT);
    const isHot = (series.at(-1) ?? 0) >= 90;
    return (
        <div class={isHot ? 'meter hot' : 'meter'} title={hint}>
            <svg width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
                {series.length > 1 && (
                    <>
                        <polygon points={`${WIDTH - (series.length - 1) * (WIDTH / 59)},${HEIGHT} ${points} ${WIDTH},${HEIGHT}`} />
                        <polyline points={points} />
                    </>
                )}
            </svg>
            <span class="meter-name">{name}</span>
            <span class="meter-value">{value}{more && <span class="meter-more"> · {more}</span>}</span>
        </div>
    );
}

const part = (used: number | null, total: number | null) => (used !== null && total ? (100 * used) / total : 0);

function gpuHint(g: Gpu): string {
    const facts = [g.name];
    if (g.memory_total_bytes)
        facts.push(`${bytes(g.memory_used_bytes)} of ${bytes(g.memory_total_bytes)} in use`);
    if (g.temperature_c !== null)
        facts.push(`${Math.round(g.temperature_c)} °C`);
    if (g.power_w !== null)
        facts.push(`${Math.round(g.power_w)} W`);
    return facts.join('\n');
}

function GpuMeters({ all, index }: { all: readonly Resources[]; index: number }) {
    const gpu = all.at(-1)?.gpus[index];
    if (!gpu)
        return null;
    const series = all.map((r) => r.gpus[index]);
    const name = index || (all.at(-1)?.gpus.length ?? 0) > 1 ? `GPU ${index}` : 'GPU';
    const temperature = gpu.temperature_c === null ? undefined : `${Math.round(gpu.temperature_c)} °C`;
    return (
        <>
            {gpu.utilization_percent !== null && (
                <Meter name={name} value={percent(gpu.utilization_percent)} more={temperature} hint={gpuHint(gpu)}
                    series={series.map((g) => g?.utilization_percent ?? 0)} />
            )}
            <Meter name={`${name} memory`} value={bytes(gpu.memory_used_bytes)} hint={gpuHint(gpu)}
                series={series.map((g) => part(g?.memory_used_bytes ?? null, g?.memory_total_bytes ?? null))} />
        </>
    );
}

export function ResourceBar() {
    const all = resources.value;
    const last = all.at(-1);
    return (
        <section class="resources" aria-label="What the machine does">
            <Meter name="CPU" value={percent(last?.cpu_percent)} series={all.map((r) => r.cpu_percent ?? 0)}
                hint={last ? `${last.n_cores} cores, ${percent(last.cpu_percent)} busy` : 'Processor'} />
            <Meter name="RAM" value={bytes(last?.ram.used_bytes)}
                series={all.map((r) => part(r.ram.used_bytes, r.ram.total_bytes))}
                hint={last ? `${bytes(last.ram.used_bytes)} of ${bytes(last.ram.total_bytes)} in use` : 'Memory'} />
            {(last?.gpus ?? []).map((_, i) => <GpuMeters key={i} all={all} index={i} />)}
        </section>
    );
}
