/* A prompt made richer by the server's rules; what was added can be seen, changed and undone. */
import { useState } from 'preact/hooks';
import { post } from '../api';
import { setValue, values } from '../state/draft';
import { attempt, say } from '../state/messages';
import { textOf } from './values';

interface Enhanced {
    prompt: string;
    added: string[];
}

export function Enhance() {
    const [before, setBefore] = useState<{ was: string; became: string } | null>(null);
    const prompt = textOf(values.value['prompt']);
    const enhance = () =>
        void attempt(async () => {
            const e = await post<Enhanced>('/api/v1/prompt/enhance', { prompt });
            if (e.prompt === prompt) {
                say('There is nothing to add to this prompt.');
                return;
            }
            setValue('prompt', e.prompt);
            setBefore({ was: prompt, became: e.prompt });
        });
    const undo = () => {
        setValue('prompt', before!.was);
        setBefore(null);
    };
    if (before && before.became === prompt)
        return <button type="button" class="chip" onClick={undo}>Undo</button>;
    return (
        <button type="button" class="chip" disabled={!prompt.trim()} title="Add what such prompts usually say of quality and camera"
            onClick={enhance}>
            Enhance
        </button>
    );
}
