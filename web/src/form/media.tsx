/* Pictures and clips: dropped, chosen or pasted, uploaded at once, shown as what they are. */
import { useRef, useState } from 'preact/hooks';
import { post } from '../api';
import { setValue, values } from '../state/draft';
import { attempt } from '../state/messages';
import type { Param, Upload } from '../types';
import { IconButton } from '../ui/button';
import { Icon } from '../ui/icon';
import { Field, fieldId } from './field';
import { idsOf } from './values';

const CLIPS = ['video', 'mask'];
const PICTURE_TYPES = 'image/png,image/jpeg,image/webp,image/bmp,image/tiff,image/gif';
const isClip = (id: string) => /\.(mp4|mov|webm)$/.test(id) || id.startsWith('job_');

function addressOf(id: string): string {
    return id.startsWith('job_') ? `/api/v1/jobs/${id}/video` : `/api/v1/uploads/${id}`;
}

function Preview({ id, onRemove }: { id: string; onRemove: () => void }) {
    return (
        <div class="media-preview">
            {isClip(id) ? <video src={addressOf(id)} muted loop autoplay playsInline />
                : <img src={addressOf(id)} alt="The chosen picture" />}
            <IconButton icon="close" label="Remove" onClick={onRemove} />
        </div>
    );
}

export function MediaField({ param }: { param: Param }) {
    const input = useRef<HTMLInputElement>(null);
    const [isOver, setOver] = useState(false);
    const [nUploading, setUploading] = useState(0);
    const ids = idsOf(values.value[param.name]);
    const isMany = param.type === 'files';
    const set = (next: string[]) => setValue(param.name, isMany ? next : (next.at(-1) ?? ''));
    const take = async (files: Iterable<File>) => {
        for (const file of isMany ? [...files] : [...files].slice(0, 1)) {
            setUploading((n) => n + 1);
            await attempt(async () => {
                const up = await post<Upload>('/api/v1/uploads', file);
                set([...idsOf(values.peek()[param.name]), up.id]);
            });
            setUploading((n) => n - 1);
        }
    };
    const onDrop = (e: DragEvent) => {
        e.preventDefault();
        setOver(false);
        void take(e.dataTransfer?.files ?? []);
    };
    const onPaste = (e: ClipboardEvent) => {
        if (e.clipboardData?.files.length)
            void take(e.clipboardData.files);
    };
    const isWide = isMany || param.name === 'image';
    const isFull = !isMany && ids.length > 0;
    return (
        <Field param={param} wide={isWide}>
            <div class={isOver ? 'media over' : 'media'} onDrop={onDrop} onPaste={onPaste}
                onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)}>
                {ids.map((id) => <Preview key={id} id={id} onRemove={() => set(ids.filter((i) => i !== id))} />)}
                {!isFull && (
                    <button type="button" class="media-drop" disabled={nUploading > 0} onClick={() => input.current?.click()}>
                        <Icon name="picture" />
                        <span>{nUploading > 0 ? 'Uploading…' : isWide ? 'Drop a file here, or choose one' : 'Drop or choose'}</span>
                    </button>
                )}
                <input ref={input} id={fieldId(param.name)} type="file" class="visually-hidden" multiple={isMany} tabIndex={-1}
                    accept={CLIPS.includes(param.name) ? `video/mp4,video/quicktime,video/webm,${PICTURE_TYPES}` : PICTURE_TYPES}
                    onChange={(e) => { void take(e.currentTarget.files ?? []); e.currentTarget.value = ''; }} />
            </div>
        </Field>
    );
}
