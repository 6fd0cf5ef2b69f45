/* Which parameters of a model the form shows, and where.  What it has never heard of stands under "Other". */
import type { Model, Param } from '../types';

/* Files of the server that a client cannot name, and the model, which has its own picker. */
const HIDDEN = ['model', 'output', 'save_tensors', 'latents'];
/* Parameters that only make sense for a task. */
const NEEDS: Record<string, readonly string[]> = {
    image: ['i2v', 'flf2v'], last_image: ['flf2v'],
    video: ['v2v'], mask: ['v2v'], reference: ['v2v'], control_scale: ['v2v'],
};
/* Those whose files are uploaded. */
export const MEDIA = ['image', 'last_image', 'video', 'mask', 'reference'];

const MAIN = ['frames', 'fps', 'steps', 'guidance', 'seed', 'speed'];
const GROUPS: readonly [string, readonly string[]][] = [
    ['Pictures and clips', ['last_image', 'video', 'mask', 'reference', 'control_scale']],
    ['Sampling', ['cache', 'scheduler', 'flow_shift', 'guidance_method', 'skip_layers', 'skip_begin', 'skip_end', 'guidance_2', 'boundary', 'max_sequence_length']],
    ['Long videos', ['segment_prompt', 'segment_frames', 'overlap', 'segment_tail', 'colour_match']],
    ['LoRA', ['lora']],
    ['Computing', ['dtype', 'device', 'threads', 'pin', 'vae_tile', 'resident_blocks', 'memory_budget']],
    ['Export', ['format', 'allow_software_video_fallback']],
    ['Files', ['vae', 'text_encoder', 'transformer_2', 'config']],
];

export interface Layout {
    prompt: Param[]; /* prompt, negative_prompt */
    image: Param | null;
    size: { width: Param; height: Param } | null;
    main: Param[];
    more: { title: string; params: Param[] }[];
}

export function takenParams(model: Model): Param[] {
    return (model.parameters ?? []).filter((p) => {
        const tasks = NEEDS[p.name];
        return !HIDDEN.includes(p.name) && (!tasks || tasks.some((t) => model.tasks.includes(t)));
    });
}

export function layout(params: readonly Param[]): Layout {
    const left = new Map(params.map((p) => [p.name, p]));
    const take = (names: readonly string[]) =>
        names.map((n) => left.get(n)).filter((p): p is Param => !!p && left.delete(p.name));
    const prompt = take(['prompt', 'negative_prompt']);
    const image = take(['image'])[0] ?? null;
    const [width, height] = left.has('width') && left.has('height') ? take(['width', 'height']) : [];
    const main = take(MAIN);
    const more = GROUPS.map(([title, names]) => ({ title, params: take(names) }));
    more.push({ title: 'Other', params: [...left.values()] });
    return {
        prompt, image, main,
        size: width && height ? { width, height } : null,
        more: more.filter((g) => g.params.length > 0),
    };
}

/* Sizes of about the same area as the model's own in other shapes, in steps of 16 pixels. */
export function shapes(width: number, height: number): { name: string; width: number; height: number }[] {
    const area = width * height;
    const round = (n: number) => Math.max(16, Math.round(n / 16) * 16);
    const of = (name: string, ratio: number) => ({
        name, width: round(Math.sqrt(area * ratio)), height: round(Math.sqrt(area / ratio)),
    });
    const wide = width >= height ? { width, height } : { width: height, height: width };
    const own = width === height ? 16 / 9 : wide.width / wide.height;
    const landscape = width === height ? of('Wide', own) : { name: 'Wide', ...wide };
    return [
        landscape,
        width === height ? { name: 'Square', width, height } : of('Square', 1),
        { name: 'Tall', width: landscape.height, height: landscape.width },
    ];
}
