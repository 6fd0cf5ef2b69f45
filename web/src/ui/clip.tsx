/* A finished job's video, whatever kind of file it is: a film plays, a moving picture moves by itself, and of a folder of pictures
   the first one is shown. */
import type { Job } from '../types';

interface Props {
    job: Job;
    class?: string;
    style?: { aspectRatio: string };
    controls?: boolean;
}

export function Clip({ job, controls, ...rest }: Props) {
    const url = job.video_url ?? undefined;
    const poster = job.thumbnail_url ?? undefined;
    const type = job.video_type ?? 'video/mp4';
    if (type.startsWith('video/'))
        return <video key={job.id} {...rest} src={url} poster={controls ? poster : undefined} controls={controls} loop autoplay muted playsInline />;
    return <img key={job.id} {...rest} src={type.startsWith('image/') ? url : poster} alt="" decoding="async" />;
}
