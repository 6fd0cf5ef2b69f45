/* What the server sends and takes: docs/api.md. */

export type JobState =
    | 'queued' | 'planning' | 'loading' | 'encoding' | 'sampling' | 'decoding' | 'saving'
    | 'completed' | 'failed' | 'cancelled' | 'interrupted' | 'paused';

export interface Progress {
    phase: string;
    text: string;
    done: number;
    total: number; /* 0: not countable */
    elapsed_s: number;
    unit_s: number | null;
    eta_s: number | null;
}

export interface Lora {
    path: string;
    strength: number;
    expert: string;
}

export type RequestValue = string | number | boolean | null | string[] | number[] | Lora[];
/* Parameters by name, at least the model. */
export type VideoRequest = Record<string, RequestValue>;

export interface JobResult {
    seconds?: number;
    peak_bytes?: number;
    request?: VideoRequest; /* complete */
    encoder?: string;
    frames_hash?: string;
    spans?: unknown;
    [more: string]: unknown;
}

export interface Job {
    id: string;
    state: JobState;
    wish?: string | null; /* what a running one was asked: "cancel", "pause" */
    model: string;
    priority: number;
    attempt: number;
    created_at: number;
    started_at: number | null;
    finished_at: number | null;
    request: VideoRequest;
    labels: Record<string, unknown> | null;
    plan: Partial<Plan> | null;
    progress: Progress | null;
    result: JobResult | null;
    error: { code: string; message: string } | null;
    video_url: string | null;
    video_type: string | null; /* "video/mp4"; "application/zip" of pictures */
    thumbnail_url: string | null;
    preview_url: string | null;
}

export interface Plan {
    fits: boolean;
    advice: string | null;
    need_bytes: number;
    budget_bytes: number;
    seconds: number | null; /* this model was never timed here */
    dtype: string;
    policy: Record<string, unknown>;
    request: VideoRequest; /* with every default */
}

export type ParamType = 'text' | 'file' | 'choice' | 'int' | 'bytes' | 'real' | 'files' | 'texts' | 'reals' | 'loras';

export interface Param {
    name: string;
    type: ParamType;
    min: number | null;
    max: number | null;
    choices: string[] | null;
    default: string | null; /* words for a person */
    help: string;
    metavar: string | null;
}

export interface Model {
    name: string;
    title: string;
    family?: string;
    tasks: string[];
    builtin: boolean;
    path?: string;
    size_bytes?: number;
    support: string;
    error?: string; /* why it is not supported */
    parameters?: Param[];
    defaults?: VideoRequest;
}

export interface QueueReply {
    jobs: Job[];
    has_more: boolean;
    counts: Partial<Record<JobState, number>>;
    paused: boolean;
}

export interface JobsReply {
    jobs: Job[];
    has_more: boolean;
}

export interface Upload {
    id: string;
    url: string;
    size_bytes: number;
    width: number | null;
    height: number | null;
}

export type SettingValue = string | number | boolean;

export interface Setting {
    name: string;
    type: string; /* bool, int, real, choice, text */
    min: number | null;
    max: number | null;
    choices: string[] | null;
    value: SettingValue;
    default: SettingValue;
    needs_restart?: boolean;
    help: string;
}

export interface Gpu {
    name: string;
    utilization_percent: number | null;
    memory_used_bytes: number | null;
    memory_total_bytes: number | null;
    temperature_c: number | null;
    power_w: number | null;
}

/* What a worker keeps in memory between jobs. */
export interface LoadedPart {
    name: string;
    model: string;
    bytes: number;
    is_mapped: boolean;
}

export interface Resources {
    type: 'resources';
    time: number;
    cpu_percent: number | null;
    n_cores: number;
    ram: { total_bytes: number; used_bytes: number; process_bytes: number };
    gpus: Gpu[];
}

export interface System {
    version: string;
    hardware?: { processor?: { description?: string } };
    folders?: Record<string, string>;
    [more: string]: unknown;
}

export type StudioEvent =
    | { type: 'hello'; version: string; last_event: number }
    | { type: 'job'; id: number; job: Job }
    | { type: 'removed'; id: number; job_id: string }
    | { type: 'progress'; job_id: string; progress: Progress };
