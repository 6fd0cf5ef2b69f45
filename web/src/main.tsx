import { render } from 'preact';
import { App } from './app';
import { startRouter } from './router';
import { startDraft } from './state/draft';
import { startEditing } from './state/editing';
import { startLive } from './state/live';
import { startPlan } from './state/plan';
import { startStage } from './state/stage';
import { startTheme } from './state/theme';

startTheme();
startRouter();
startDraft();
startPlan();
startEditing();
startStage();
startLive();
render(<App />, document.getElementById('app')!);
