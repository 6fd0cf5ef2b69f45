/* LoRAs: a file below the folder of models, its strength, and for models with two experts which one gets it. */
import { setValue, values } from '../state/draft';
import type { Param } from '../types';
import { Button, IconButton } from '../ui/button';
import { Field } from './field';
import { lorasOf, type LoraRow } from './values';

export function LorasField({ param }: { param: Param }) {
    const rows = lorasOf(values.value[param.name]);
    const change = (i: number, part: Partial<LoraRow>) =>
        setValue(param.name, rows.map((r, j) => (i === j ? { ...r, ...part } : r)));
    return (
        <Field param={param} wide>
            {rows.map((r, i) => (
                <div class="lora" key={i}>
                    <input type="text" aria-label="File" placeholder="folder/file.safetensors" spellcheck={false} value={r.path}
                        onInput={(e) => change(i, { path: e.currentTarget.value })} />
                    <input type="text" inputMode="decimal" aria-label="Strength" placeholder="1" value={r.strength}
                        onInput={(e) => change(i, { strength: e.currentTarget.value })} />
                    <select aria-label="Expert" value={r.expert} onChange={(e) => change(i, { expert: e.currentTarget.value })}>
                        <option value="both">both</option>
                        <option value="high">high noise</option>
                        <option value="low">low noise</option>
                    </select>
                    <IconButton icon="close" label="Remove this LoRA"
                        onClick={() => setValue(param.name, rows.filter((_, j) => i !== j))} />
                </div>
            ))}
            <div>
                <Button kind="quiet" icon="plus"
                    onClick={() => setValue(param.name, [...rows, { path: '', strength: '1', expert: 'both' }])}>
                    Add a LoRA
                </Button>
            </div>
        </Field>
    );
}
