/* Runs before the first paint, so that a chosen theme does not flash the other one. */
try {
    const theme = JSON.parse(localStorage.getItem('kinora.theme') ?? '""') as string;
    if (theme === 'light' || theme === 'dark')
        document.documentElement.dataset['theme'] = theme;
} catch {
    /* no storage: the system's theme */
}
