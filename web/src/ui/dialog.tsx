/* A dialog over the page: the browser's own, which keeps the focus inside and closes with Escape. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Button, IconButton } from './button';

interface Props {
    title: string;
    onClose: () => void;
    wide?: boolean;
    onKeyDown?: (e: KeyboardEvent) => void;
    children: ComponentChildren;
}

export function Dialog({ title, onClose, wide, onKeyDown, children }: Props) {
    const ref = useRef<HTMLDialogElement>(null);
    useEffect(() => {
        const before = document.activeElement;
        const dialog = ref.current;
        if (dialog && !dialog.open)
            dialog.showModal();
        return () => {
            if (before instanceof HTMLElement)
                before.focus();
        };
    }, []);
    const onClick = (e: MouseEvent) => {
        if (e.target === ref.current)
            onClose();
    };
    return (
        <dialog ref={ref} class={wide ? 'dialog wide' : 'dialog'} aria-label={title} onClose={onClose} onClick={onClick}
            onKeyDown={onKeyDown}>
            <div class="dialog-body">
                <header class="dialog-head">
                    <h2>{title}</h2>
                    <IconButton icon="close" label="Close" onClick={onClose} />
                </header>
                {children}
            </div>
        </dialog>
    );
}

interface ConfirmProps {
    title: string;
    text: string;
    action: string;
    onYes: () => void;
    onClose: () => void;
}

export function Confirm({ title, text, action, onYes, onClose }: ConfirmProps) {
    return (
        <Dialog title={title} onClose={onClose}>
            <p class="dialog-text">{text}</p>
            <div class="row end">
                <Button onClick={onClose}>Keep</Button>
                <Button kind="danger" icon="trash" onClick={onYes}>{action}</Button>
            </div>
        </Dialog>
    );
}
