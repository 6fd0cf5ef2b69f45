/* Numbers as people read them. */

export function bytes(n: number | null | undefined): string {
    if (n == null || !isFinite(n))
        return '–';
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let i = 0;
    while (n >= 999.5 && i < units.length - 1) {
        n /= 1000;
        i++;
    }
    return `${i > 0 && n < 99.95 ? n.toFixed(1).replace(/\.0$/, '') : Math.round(n)} ${units[i]}`;
}

export function duration(s: number | null | undefined): string {
    if (s == null || !isFinite(s))
        return '–';
    if (s < 0.95)
        return 'under 1 s';
    if (s < 9.95)
        return `${Number(s.toFixed(1))} s`;
    const whole = Math.round(s);
    if (whole < 60)
        return `${whole} s`;
    if (whole < 3600)
        return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
    const minutes = Math.round(s / 60);
    return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/* "about 6 s", "under 1 s" */
/* null: this model was never timed here. */
export function about(s: number | null): string {
    if (s === null)
        return 'time not known yet';
    return s < 0.95 ? duration(s) : `about ${duration(s)}`;
}

/* The time of one step, which may be much less than a second. */
export function perStep(s: number): string {
    return s < 1 ? `${s.toFixed(2)} s a step` : `${s < 10 ? s.toFixed(1) : Math.round(s)} s a step`;
}

export function percent(n: number | null | undefined): string {
    return n == null || !isFinite(n) ? '–' : `${Math.round(n)} %`;
}

export function number(n: number): string {
    return String(Number(n.toPrecision(6)));
}

export function ago(unix: number, now: number): string {
    const s = Math.max(0, now - unix);
    if (s < 60)
        return 'just now';
    if (s < 3600)
        return `${Math.floor(s / 60)} min ago`;
    if (s < 86400)
        return `${Math.floor(s / 3600)} h ago`;
    return new Date(unix * 1000).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
}

export function plural(n: number, one: string, many = `${one}s`): string {
    return `${n} ${n === 1 ? one : many}`;
}

/* Bytes as people type them, exactly: "100G"; what is no whole number of units stays a number of bytes. */
export function typedBytes(n: number): string {
    const units = ['', 'K', 'M', 'G', 'T'];
    let i = 0;
    while (n >= 1024 && n % 1024 === 0 && i < units.length - 1) {
        n /= 1024;
        i++;
    }
    return `${n}${units[i]}`;
}

/* "negative_prompt" as a label. */
export function label(name: string): string {
    const known: Record<string, string> = {
        fps: 'FPS', dtype: 'Computation type', lora: 'LoRA', vae: 'VAE', vae_tile: 'VAE tile',
        guidance_2: 'Guidance, low noise', transformer_2: 'Low-noise expert', image: 'First picture',
        cache: 'Step cache', last_image: 'Last picture', video: 'Control clip', mask: 'Mask clip', reference: 'Reference pictures', max_sequence_length: 'Prompt tokens',
    };
    const better: Record<string, string> = {
        gpu: 'GPU', dir: 'folder', max: 'maximum', dtype: 'computation type', bytes: '',
    };
    const words = known[name] ?? name.split('_').map((w) => better[w] ?? w).join(' ').trim();
    return words.charAt(0).toUpperCase() + words.slice(1);
}
