/* Width and height, and common shapes of about the model's own area. */
import { IconButton } from '../ui/button';
import { errors, model, numberOf, setValue, values } from '../state/draft';
import type { Param } from '../types';
import { describe, fieldId } from './field';
import { shapes } from './groups';
import { placeholder } from './inputs';
import { textOf } from './values';

function Side({ param }: { param: Param }) {
    return (
        <input {...describe(param.name)} type="text" inputMode="numeric" autocomplete="off" aria-label={param.name}
            placeholder={placeholder(param)} value={textOf(values.value[param.name])}
            onInput={(e) => setValue(param.name, e.currentTarget.value)} />
    );
}

function ownShapes(): { name: string; width: number; height: number }[] {
    const { width, height } = model.value?.defaults ?? {};
    return typeof width === 'number' && typeof height === 'number' ? shapes(width, height) : [];
}

export function SizeField({ width, height }: { width: Param; height: Param }) {
    const w = numberOf('width');
    const h = numberOf('height');
    const own = model.value?.defaults;
    const choose = (s: { width: number; height: number }) => {
        const isOwn = s.width === own?.['width'] && s.height === own?.['height'];
        setValue('width', isOwn ? '' : String(s.width));
        setValue('height', isOwn ? '' : String(s.height));
    };
    const error = errors.value['width'] ?? errors.value['height'];
    return (
        <div class="field wide">
            <div class="field-head">
                <label class="field-label" for={fieldId('width')}>Size</label>
                <span class="field-aside">
                    {ownShapes().map((s) => (
                        <button key={s.name} type="button" class="chip" aria-pressed={s.width === w && s.height === h}
                            title={`${s.width} × ${s.height}`} onClick={() => choose(s)}>
                            <span class={`shape ${s.name.toLowerCase()}`} aria-hidden="true" />
                            {s.name}
                        </button>
                    ))}
                </span>
            </div>
            <div class="size">
                <Side param={width} />
                <span aria-hidden="true">×</span>
                <Side param={height} />
                <IconButton icon="swap" label="Swap width and height" disabled={w === null || h === null}
                    onClick={() => w !== null && h !== null && choose({ width: h, height: w })} />
            </div>
            {error && <p class="field-error" id={`${fieldId(errors.value['width'] ? 'width' : 'height')}-error`}>{error}</p>}
        </div>
    );
}
