import { useState } from 'preact/hooks';
import { call, isLocked, messageOf, ApiError } from '../api';
import { Button } from './button';
import { Logo } from './icon';

/* The server was started with a token; this browser has to show it once. */
export function Login() {
    const [token, setToken] = useState('');
    const [error, setError] = useState('');
    const [isBusy, setBusy] = useState(false);
    const submit = async (e: Event) => {
        e.preventDefault();
        setBusy(true);
        setError('');
        try {
            await call('POST', '/login', { token: token.trim() });
            isLocked.value = false;
        } catch (problem) {
            const isWrong = problem instanceof ApiError && problem.status === 401;
            setError(isWrong ? 'This is not the token of this server.' : messageOf(problem));
        }
        setBusy(false);
    };
    return (
        <main class="login">
            <form class="card" onSubmit={submit}>
                <Logo />
                <h1>Kinora</h1>
                <p>This studio is protected. Enter the token that <code>kinora serve</code> was started with.</p>
                <label class="field">
                    <span class="field-label">Token</span>
                    <input type="password" autocomplete="current-password" autofocus required value={token}
                        aria-invalid={error !== ''} onInput={(e) => setToken(e.currentTarget.value)} />
                </label>
                <p class="field-error" role="alert">{error}</p>
                <Button kind="primary" type="submit" disabled={isBusy || !token.trim()}>Open the studio</Button>
            </form>
        </main>
    );
}
