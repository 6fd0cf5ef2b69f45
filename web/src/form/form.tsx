/* The form of the Generate tab, built from the chosen model's parameters. */
import { useRef } from 'preact/hooks';
import { ApiError } from '../api';
import { edit, submit } from '../state/actions';
import { chosenModel, clearForm, editingId, model, params, request, sendErrors, values } from '../state/draft';
import { complain, say } from '../state/messages';
import { models, taskText, usableModels } from '../state/models';
import { offer } from '../state/stage';
import { recall, remember } from '../storage';
import { Button } from '../ui/button';
import { Icon } from '../ui/icon';
import { fieldId } from './field';
import { layout } from './groups';
import { ParamField } from './param_field';
import { PlanLine } from './plan_line';
import { SizeField } from './size';
import { errorsOf } from './values';

function ModelPicker() {
    const chosen = model.value;
    const choose = (name: string) => {
        chosenModel.value = name;
        sendErrors.value = {};
    };
    return (
        <div class="field wide">
            <label class="field-label" for="field-model">Model</label>
            <select id="field-model" name="model" value={chosen?.name} onChange={(e) => choose(e.currentTarget.value)}>
                {usableModels.value.map((m) => <option key={m.name} value={m.name}>{m.title}</option>)}
            </select>
            {chosen && <p class="field-note">{chosen.tasks.map(taskText).join(' · ')}</p>}
        </div>
    );
}

function focusField(name: string): void {
    const field = document.getElementById(fieldId(name));
    field?.closest('details')?.setAttribute('open', '');
    field?.focus();
}

/* On a narrow page the stage lies below the form. */
function showStage(): void {
    const isNarrow = matchMedia('(max-width: 900px)').matches;
    document.querySelector('.stage')?.scrollIntoView({ behavior: 'smooth', block: isNarrow ? 'start' : 'nearest' });
}

async function send(): Promise<void> {
    const what = request.peek();
    const wrong = Object.keys(errorsOf(params.peek(), values.peek()))[0];
    if (!what)
        return;
    if (wrong) {
        focusField(wrong);
        return;
    }
    if (what['prompt'] === undefined && params.peek().some((p) => p.name === 'prompt')) {
        sendErrors.value = { prompt: 'Describe the video first' };
        focusField('prompt');
        return;
    }
    sendErrors.value = {};
    try {
        if (editingId.peek()) {
            await edit(editingId.peek()!, { request: what });
            editingId.value = null;
            say('The waiting job is changed.');
        } else {
            offer((await submit(what)).id);
            showStage();
        }
    } catch (e) {
        if (e instanceof ApiError && e.param)
            sendErrors.value = { [e.param]: e.message };
        complain(e);
    }
}

function More() {
    const { more } = layout(params.value);
    if (more.length === 0)
        return null;
    return (
        <details class="more" open={recall('more', false)} onToggle={(e) => remember('more', e.currentTarget.open)}>
            <summary>More <Icon name="chevron" size={16} /></summary>
            {more.map((g) => (
                <fieldset key={g.title} class="fields">
                    <legend>{g.title}</legend>
                    {g.params.map((p) => <ParamField key={p.name} param={p} />)}
                </fieldset>
            ))}
        </details>
    );
}

function Actions({ isBusy }: { isBusy: boolean }) {
    const isEditing = editingId.value !== null;
    return (
        <footer class="form-actions">
            <PlanLine />
            <div class="row">
                <Button kind="primary" type="submit" icon={isEditing ? 'check' : 'generate'} title="Ctrl+Enter" disabled={isBusy}>
                    {isEditing ? 'Save the changes' : 'Generate'}
                </Button>
                <Button kind="quiet" onClick={clearForm}>{isEditing ? 'Leave it as it was' : 'Clear'}</Button>
            </div>
        </footer>
    );
}

export function Form() {
    const form = useRef<HTMLFormElement>(null);
    const isSending = useRef(false);
    const { prompt, image, size, main } = layout(params.value);
    const onSubmit = async (e: Event) => {
        e.preventDefault();
        if (isSending.current)
            return;
        isSending.current = true;
        await send();
        isSending.current = false;
    };
    const onKeyDown = (e: KeyboardEvent) => {
        if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
            e.preventDefault();
            form.current?.requestSubmit();
        }
    };
    return (
        <form ref={form} class="form card" onSubmit={onSubmit} onKeyDown={onKeyDown} noValidate aria-label="New video">
            <div class="form-body">
                {editingId.value && <p class="note">You are changing a job that waits in the queue.</p>}
                <ModelPicker />
                <div class="fields">
                    {prompt.map((p) => <ParamField key={p.name} param={p} />)}
                    {image && <ParamField param={image} />}
                    {size && <SizeField {...size} />}
                    {main.map((p) => <ParamField key={p.name} param={p} />)}
                </div>
                <More />
            </div>
            <Actions isBusy={models.value === null} />
        </form>
    );
}
